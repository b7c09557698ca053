// The embedded study: scores of all cases, and pictures and masks of those that fit, decoded on demand.
"use strict";

const KEPT_CASES = 2;

/** Everything known of all cases, as `reporting/viewer.py` wrote it. */
class StudyData {
  constructor(index) {
    Object.assign(this, index);
    this.isEmbedded = new Set(index.embedded);
    this.decoded = new Map();
  }

  /** One score: `{value, reason}`; the value is null where it is undefined. */
  score(view, label, metric, number, loss) {
    const place = number * this.losses.length + loss;
    const value = this.values[view]?.[label]?.[metric]?.[place] ?? null;
    if (value !== null) return { value, reason: "" };
    const reason = this.reasons[view]?.[label]?.[metric]?.[place];
    return { value: null, reason: reason === undefined ? "not scored" : this.texts[reason] };
  }

  /** Mean and range of a case's defined scores over the losses. */
  overLosses(label, metric, number) {
    const found = this.losses
      .map((_, loss) => this.score("all", label, metric, number, loss).value)
      .filter((value) => value !== null);
    if (!found.length) return { mean: null, range: null, defined: 0 };
    const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
    return { mean, range: Math.max(...found) - Math.min(...found), defined: found.length };
  }

  /** A number as the tables print it. */
  print(metric, value) {
    if (value === null) return "–";
    const { digits } = this.metrics[metric];
    return value.toFixed(digits === 0 && !Number.isInteger(value) ? 1 : digits).replace("-", "−");
  }

  /** `Dice`, `95 % Hausdorff distance (mm)`. */
  heading(metric) {
    const { title, unit } = this.metrics[metric];
    return unit ? `${title} (${unit})` : title;
  }

  /** An embedded case; the last few stay decoded. */
  open(number) {
    if (!this.isEmbedded.has(number)) return null;
    let found = this.decoded.get(number);
    if (!found) {
      found = new EmbeddedCase(JSON.parse(byId(`case-${number}`).textContent));
      if (this.decoded.size >= KEPT_CASES) this.decoded.delete(this.decoded.keys().next().value);
      this.decoded.set(number, found);
    }
    return found;
  }
}

/** One case: what holds for all its pictures, and its planes, that to show first before the others. */
class EmbeddedCase {
  constructor(content) {
    const { colour, range, window, channels, seeds, baseTrouble, troubles, others } = content;
    Object.assign(this, { colour, range, window, channels, seeds, baseTrouble, troubles });
    this.planes = [content, ...(others ?? [])].map((plane) => new EmbeddedPlane(plane));
    this.lacksPlanes = others === null;
  }

  get isVolume() {
    return this.planes[0].count > 1;
  }

  /** How many voxels a volume has along each axis, as its file stores them. */
  get lengths() {
    return [...this.planes].sort((one, other) => one.axes[0] - other.axes[0]).map(({ count }) => count);
  }

  /** `slice 3`, or, where there are several planes, `axial slice 3`. */
  placeWords(at, slice) {
    const plane = this.planes[at];
    return `${this.planes.length > 1 ? plane.words : "slice"} ${plane.slices[slice].index + 1}`;
  }

  /** Which slices of some planes are in the page. */
  sliceWords(shown) {
    const held = (plane) => (plane.held ? `${plane.held} hold anything` : "none holds anything");
    const planes = shown.map((at) => this.planes[at]);
    if (planes.length > 1) {
      const each = planes.map((plane) => `${plane.slices.length} of ${plane.count} ${plane.name} (${held(plane)})`);
      return `Slices in this page: ${each.join("; ")}; of each plane the one with most errors is among them.`;
    }
    const [{ name, count, slices }] = planes;
    return (
      `Slices are ${name}; of ${count}, ${held(planes[0])}, and ${slices.length} are in this page, ` +
      "the one with most errors among them."
    );
  }

  /**
   * Where other planes' slices cut a plane, in pixels of its masks: `{row, column}`, each null or a place.
   *
   * `slices` has the slice shown of each plane.
   */
  crossing(at, slices) {
    const [, down, across] = this.planes[at].axes;
    const [upward, backward] = this.planes[at].flips.slice(1);
    const place = (axis, isFlipped) => {
      const other = this.planes.findIndex(({ axes }) => axes[0] === axis);
      if (other < 0) return null;
      const { count, slices: shown } = this.planes[other];
      const { index } = shown[slices[other]];
      return ((isFlipped ? count - 1 - index : index) + 0.5) / this.planes[at].factor;
    };
    return { row: place(down, upward), column: place(across, backward) };
  }

  /** The slices to show for a place in a plane, given in pixels of its masks: of the other planes the nearest there are. */
  through(at, slices, { row, column }) {
    const { axes, flips, factor } = this.planes[at];
    const reached = new Map([[axes[1], [row, flips[1]]], [axes[2], [column, flips[2]]]]);
    return this.planes.map((plane, other) => {
      if (other === at || !reached.has(plane.axes[0])) return slices[other];
      const [place, isFlipped] = reached.get(plane.axes[0]);
      const from = Math.max(0, Math.min(plane.count - 1, Math.floor(place * factor)));
      return plane.nearest(isFlipped ? plane.count - 1 - from : from);
    });
  }
}

/** A case's slices in one plane. */
class EmbeddedPlane {
  constructor(content) {
    const { aspect, factor, axes, flips, count, held, start, windows, slices } = content;
    Object.assign(this, { aspect, factor, axes, flips, count, held, start, windows, slices });
    this.name = content.plane;
    [this.rows, this.columns] = content.size;
    this.masks = new Map();
    this.pictures = new Map();
  }

  /** `axial slice`, or `slice across the first axis`. */
  get words() {
    return this.name.startsWith("across") ? `slice ${this.name}` : `${this.name} slice`;
  }

  /** The slice in this page that is nearest to one of the volume. */
  nearest(index) {
    const away = this.slices.map((slice) => Math.abs(slice.index - index));
    return away.indexOf(Math.min(...away));
  }

  /** The label numbers of the truth on a slice. */
  truth(slice) {
    return this.#mask(`truth ${slice}`, this.slices[slice].truth);
  }

  /** The label numbers that a loss predicted on a slice; null where no prediction was kept. */
  prediction(slice, loss, seed) {
    const coded = this.slices[slice].masks[loss][seed];
    return coded === null || coded === undefined ? null : this.#mask(`${slice} ${loss} ${seed}`, coded);
  }

  #mask(key, coded) {
    if (!this.masks.has(key)) this.masks.set(key, decodeRuns(coded, this.rows * this.columns));
    return this.masks.get(key);
  }

  /** The picture of a slice as `{width, height, pixels}` (RGBA), or null where there is none. */
  async picture(slice) {
    const link = this.slices[slice].picture;
    if (!link) return null;
    if (!this.pictures.has(slice)) this.pictures.set(slice, decodePicture(link));
    return this.pictures.get(slice);
  }
}

/** A mask from base64 of its runs: a byte with the label, then the length as a little-endian base-128 number. */
function decodeRuns(coded, size) {
  const bytes = atob(coded);
  const labels = new Uint8Array(size);
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const label = bytes.charCodeAt(at++);
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = bytes.charCodeAt(at++);
      length += (byte & 127) * 2 ** shift;
      more = byte > 127;
    }
    if (label) labels.fill(label, from, from + length);
    from += length;
  }
  return labels;
}

async function decodePicture(link) {
  const image = new Image();
  image.src = link;
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { width, height, pixels: data };
}
