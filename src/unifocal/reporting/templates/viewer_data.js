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

/** One case's slices. */
class EmbeddedCase {
  constructor(content) {
    Object.assign(this, content);
    [this.rows, this.columns] = content.size;
    this.masks = new Map();
    this.pictures = new Map();
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
