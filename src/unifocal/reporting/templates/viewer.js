// The viewer: one case, all losses beside each other or one at a time, slice by slice, in one plane or all three.
"use strict";

const LAYERS = ["truth", "prediction", "truePositives", "falsePositives", "falseNegatives"];
const NARROW = 640;
const ALL_PLANES = "all three";
const SLIDERS = ["slice", "slice-1", "slice-2"];

/** What is drawn at the moment, and the controls that change it. */
class Viewer {
  constructor(data) {
    this.data = data;
    this.number = null;
    this.opened = null;
    this.loss = 0;
    this.slices = [0];
    this.plane = 0; // The one that keys step through.
    this.wanted = null; // The name of a plane, or all of them; null is the one shown first.
    this.seed = 0;
    this.drawings = 0;
    this.isHidden = false;
    this.stage = byId("stage");
    this.isSingle = this.stage.clientWidth > 0 && this.stage.clientWidth < NARROW;
    this.tiles = [];
    this.#wireControls();
    this.#wireKeys();
    new ResizeObserver(() => this.#whenResized()).observe(this.stage);
  }

  get label() {
    return this.table.label;
  }

  get labelNumber() {
    return this.data.labels.indexOf(this.label) + 1;
  }

  /** Whether a number in a mask is the label's: its own, or, where labels overlap, one with its bit. */
  get isLabel() {
    const number = this.labelNumber;
    return this.data.overlap ? (value) => ((value >> (number - 1)) & 1) === 1 : (value) => value === number;
  }

  /** The scores that belong to the predictions shown. */
  get view() {
    const seed = this.opened?.seeds[this.seed];
    return seed !== undefined && this.data.views.includes(String(seed)) ? String(seed) : "all";
  }

  get isThree() {
    return this.wanted === ALL_PLANES && this.opened !== null && this.opened.planes.length > 1;
  }

  /** The numbers of the planes on the stage. */
  get shown() {
    return this.isThree ? [...this.opened.planes.keys()] : [this.plane];
  }

  /** Show a case; when the reader asked for it, bring it into sight and put the focus there. */
  open(number, { isAsked }) {
    if (number === undefined) return;
    this.number = number;
    this.opened = this.data.open(number);
    this.seed = 0;
    this.slices = this.opened ? this.opened.planes.map(({ start }) => start) : [0];
    this.plane = Math.max(0, this.opened?.planes.findIndex(({ name }) => name === this.wanted) ?? 0);
    byId("viewer-title").textContent = this.data.cases[number].name;
    this.#fillSeeds();
    this.#fillPlanes();
    this.#resetWindow();
    this.#buildTiles();
    this.table.mark(number);
    this.refresh();
    if (!isAsked) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId("viewer").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
    (this.opened ? this.stage : byId("viewer-title")).focus({ preventScroll: true });
  }

  #aboutWords() {
    const { opened, data } = this;
    const { patient, groups = [] } = data.cases[this.number];
    const kinds = Object.keys(data.categories);
    const parts = [`patient ${patient}`, ...groups.flatMap((group, at) => (group ? [`${kinds[at]} ${group}`] : []))];
    if (data.labels.length > 1) parts.push(this.data.labelNames[this.labelNumber - 1]);
    if (opened) {
      const { rows, columns, factor } = opened.planes[this.plane];
      const size = `${rows * factor} × ${columns * factor} pixels`;
      parts.push(this.isThree ? `${opened.lengths.join(" × ")} voxels` : factor > 1 ? `about ${size}, drawn at 1/${factor}` : size);
    }
    return parts.join(" · ");
  }

  // Controls

  #wireControls() {
    byId("case-previous").addEventListener("click", () => this.open(this.table.beside(this.number, -1), { isAsked: false }));
    byId("case-next").addEventListener("click", () => this.open(this.table.beside(this.number, 1), { isAsked: false }));
    byId("loss-previous").addEventListener("click", () => this.stepLoss(-1));
    byId("loss-next").addEventListener("click", () => this.stepLoss(1));
    const select = byId("loss-select");
    select.append(...this.data.losses.map((loss, position) => make("option", { value: position }, loss)));
    select.addEventListener("change", () => this.stepLoss(Number(select.value) - this.loss));
    for (const radio of document.querySelectorAll("input[name=layout]")) {
      radio.addEventListener("change", () => this.setSingle(radio.value === "one"));
    }
    for (const radio of document.querySelectorAll("input[name=zoom]")) radio.addEventListener("change", () => this.refresh());
    for (const id of [...LAYERS.map((layer) => `layer-${layer}`), "smooth", "cross"]) {
      byId(id).addEventListener("change", () => this.refresh());
    }
    for (const id of ["opacity", "level", "width"]) byId(id).addEventListener("input", () => this.refresh());
    byId("window-reset").addEventListener("click", () => {
      this.#resetWindow();
      this.refresh();
    });
    SLIDERS.forEach((id, plane) => {
      byId(id).addEventListener("input", () => {
        this.plane = plane;
        this.stepSlice(Number(byId(id).value) - this.slices[plane]);
      });
    });
    byId("seed").addEventListener("change", () => {
      this.seed = Number(byId("seed").value);
      this.refresh();
    });
  }

  #wireKeys() {
    const steps = {
      ArrowLeft: () => this.stepLoss(-1),
      ArrowRight: () => this.stepLoss(1),
      ArrowUp: () => this.stepSlice(-1),
      ArrowDown: () => this.stepSlice(1),
      n: () => byId("case-next").click(),
      p: () => byId("case-previous").click(),
      o: () => this.setSingle(!this.isSingle),
      v: () => this.#cyclePlanes(),
      x: () => this.#stepPlane(),
      c: () => byId("cross").click(),
      z: () => (document.querySelector("input[name=zoom]:not(:checked)")).click(),
      h: () => {
        this.isHidden = !this.isHidden;
        this.refresh();
      },
    };
    LAYERS.forEach((layer, position) => {
      steps[String(position + 1)] = () => byId(`layer-${layer}`).click();
    });
    this.stage.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      step();
    });
  }

  #fillSeeds() {
    const seeds = this.opened?.seeds ?? [];
    const options = seeds.map((seed, position) => make("option", { value: position }, `seed ${seed}`));
    byId("seed").replaceChildren(...options);
    byId("seed-row").hidden = seeds.length < 2;
  }

  #fillPlanes() {
    const planes = this.opened?.planes ?? [];
    const choices = planes.length > 1 ? [...planes.map(({ name }) => name), ALL_PLANES] : [];
    byId("plane-choices").replaceChildren(
      ...choices.map((name) => {
        const radio = make("input", { type: "radio", name: "plane", value: name });
        radio.addEventListener("change", () => this.setPlane(name));
        return make("label", {}, radio, ` ${name}`);
      }),
    );
  }

  #cyclePlanes() {
    const radios = [...document.querySelectorAll("input[name=plane]")];
    const at = radios.findIndex(({ checked }) => checked);
    if (radios.length) this.setPlane(radios[(at + 1) % radios.length].value);
  }

  #stepPlane() {
    if (!this.isThree) return;
    this.plane = (this.plane + 1) % this.opened.planes.length;
    this.refresh();
  }

  #resetWindow() {
    const [low, high] = this.opened?.window ?? [0, 255];
    byId("level").value = (low + high) / 2;
    byId("width").value = high - low;
  }

  stepLoss(step) {
    const many = this.data.losses.length;
    this.loss = (this.loss + step + many) % many;
    if (this.isSingle) this.#buildTiles();
    this.refresh();
  }

  stepSlice(step) {
    if (!this.opened) return;
    const { plane } = this;
    const last = this.opened.planes[plane].slices.length - 1;
    this.slices[plane] = Math.max(0, Math.min(last, this.slices[plane] + step));
    this.refresh();
  }

  /** Show a plane by its name, or all of them. */
  setPlane(name) {
    this.wanted = name;
    const found = this.opened.planes.findIndex((plane) => plane.name === name);
    if (found >= 0) this.plane = found;
    this.#buildTiles();
    this.refresh();
  }

  /** Bring the other planes to a place in one, `{row, column}` in pixels of its masks. */
  point(at, place) {
    if (!this.isThree) return;
    this.plane = at;
    this.slices = this.opened.through(at, this.slices, place);
    this.refresh();
  }

  setSingle(isSingle) {
    this.isSingle = isSingle;
    this.#buildTiles();
    this.refresh();
  }

  // Pictures

  #buildTiles() {
    const { losses } = this.data;
    this.stage.classList.toggle("single", this.isSingle);
    this.stage.classList.toggle("three", this.isThree);
    const wanted = this.isSingle ? [this.loss] : ["image", "truth", ...losses.keys()];
    this.tiles = this.opened ? wanted.map((what) => new Tile(this, what)) : [];
    this.stage.replaceChildren(...(this.opened ? this.tiles.map(({ figure }) => figure) : [this.#instead()]));
    byId("viewer-controls").disabled = !this.opened;
  }

  #instead() {
    const why = this.data.refused[this.number] ?? "No pictures of this case are in this page";
    const files = this.data.files[this.number] ?? [];
    return make(
      "div",
      { class: "instead" },
      make("p", {}, `Not embedded: ${why}.`),
      files.length ? make("p", {}, "To look at it, open ", ...files.flatMap((file, at) => [at ? " and " : "", make("code", {}, file)]), ".") : null,
    );
  }

  #whenResized() {
    if (this.opened && this.stage.clientWidth !== this.drawnWidth) this.refresh();
  }

  /** Draw everything anew: a few milliseconds, so nothing is kept in step by hand. */
  async refresh() {
    this.#showControls();
    this.#showScores();
    const { opened } = this;
    if (!opened) return;
    const drawing = ++this.drawings;
    const pictures = await Promise.all(opened.planes.map((plane, at) => this.shown.includes(at) && plane.picture(this.slices[at])));
    if (drawing !== this.drawings) return; // Something newer is being drawn.
    const [level, width] = [Number(byId("level").value), Math.max(1, Number(byId("width").value))];
    const images = pictures.map((picture) => picture && windowed(picture, opened.colour, level, width));
    this.drawnWidth = this.stage.clientWidth;
    for (const tile of this.tiles) tile.paint(images);
    this.#align();
    this.#announce();
  }

  /** Pictures of a plane stand in one row, whatever is seen of it. */
  #align() {
    if (!this.isThree || this.isSingle) return;
    for (const at of this.shown) {
      const canvases = this.tiles.map(({ shots }) => shots[at].canvas);
      const tallest = Math.max(...canvases.map(({ clientHeight }) => clientHeight));
      for (const { parentElement } of canvases) parentElement.style.height = `${tallest}px`;
    }
  }

  // Words beside the pictures

  #showControls() {
    const { opened, data } = this;
    byId(this.isSingle ? "layout-one" : "layout-all").checked = true;
    byId("viewer-about").textContent = this.#aboutWords();
    byId("loss-select").value = String(this.loss);
    byId("loss-row").hidden = data.losses.length < 2;
    byId("case-previous").disabled = this.table.beside(this.number, -1) === undefined;
    byId("case-next").disabled = this.table.beside(this.number, 1) === undefined;
    byId("opacity-value").textContent = `${byId("opacity").value} %`;
    byId("window-row").hidden = !opened || !opened.planes[this.plane].slices[this.slices[this.plane]].picture;
    byId("plane-row").hidden = !opened || opened.planes.length < 2;
    byId("cross-row").hidden = !this.isThree;
    byId("viewer-note").textContent = opened ? this.#noteWords() : "";
    byId("overlays-hidden").hidden = !this.isHidden;
    SLIDERS.forEach((id, at) => this.#showSlider(id, at));
    if (!opened) return;
    const chosen = this.isThree ? ALL_PLANES : opened.planes[this.plane].name;
    for (const radio of document.querySelectorAll("input[name=plane]")) radio.checked = radio.value === chosen;
    const [level, width] = [Number(byId("level").value), Number(byId("width").value)];
    byId("window-value").textContent = `black at ${this.#grey(level - width / 2)}, white at ${this.#grey(level + width / 2)}`;
  }

  #showSlider(id, at) {
    const plane = this.opened?.planes[at];
    byId(`${id}-row`).hidden = !plane || plane.slices.length < 2 || !this.shown.includes(at);
    if (!plane) return;
    const place = `${plane.slices[this.slices[at]].index + 1} of ${plane.count}`;
    const words = this.opened.planes.length > 1 ? plane.words : "slice";
    byId(`${id}-row`).classList.toggle("active", this.isThree && at === this.plane);
    byId(`${id}-name`).textContent = words[0].toUpperCase() + words.slice(1);
    Object.assign(byId(id), { max: plane.slices.length - 1, value: this.slices[at] });
    byId(id).setAttribute("aria-valuetext", `${words} ${place}`);
    byId(`${id}-value`).textContent = place;
  }

  /** A grey value of the page's picture in the image's own unit, where it has one. */
  #grey(value) {
    if (!this.opened.range) return String(Math.round(value));
    const [low, high] = this.opened.range;
    return String(Number((low + (value / 255) * (high - low)).toPrecision(3))).replace("-", "−");
  }

  #noteWords() {
    const { opened, data } = this;
    const parts = [];
    if (opened.isVolume) parts.push(opened.sliceWords(this.shown));
    if (opened.lacksPlanes) parts.push("Its two other planes did not fit into this page.");
    if (opened.seeds.length === 1 && data.views.length > 2) {
      parts.push(`Predictions and scores are those of seed ${opened.seeds[0]}; the table above shows means over all runs.`);
    }
    if (opened.channels > 1 && !opened.colour) parts.push(`Of the image's ${opened.channels} channels the first is shown.`);
    if (this.shown.some((at) => opened.planes[at].factor > 1)) parts.push("Masks are drawn smaller than they are: a pixel shows a label where any of those it stands for has it.");
    return parts.join(" ");
  }

  #showScores() {
    const { data, number, label } = this;
    const table = byId("viewer-scores");
    const heads = data.losses.map((loss, position) => {
      const dot = make("i", {});
      dot.style.setProperty("--c", data.colours[position]);
      return make("th", { scope: "col", class: "loss", "aria-current": position === this.loss && "true" }, dot, ...breakable(loss));
    });
    table.tHead.replaceChildren(make("tr", {}, make("th", { scope: "col", class: "name" }, "This case"), ...heads));
    table.tBodies[0].replaceChildren(
      ...Object.keys(data.metrics).flatMap((metric) => {
        const scores = data.losses.map((_, loss) => data.score(this.view, label, metric, number, loss));
        return scores.every(({ reason }) => reason === "not scored") ? [] : [this.#scoreRow(metric, scores)];
      }),
    );
  }

  #scoreRow(metric, scores) {
    const { direction } = this.data.metrics[metric];
    const values = scores.map(({ value }) => value).filter((value) => value !== null);
    const best = direction && values.length > 1 ? (direction === "higher" ? Math.max(...values) : Math.min(...values)) : null;
    const cells = scores.map(({ value, reason }) => {
      if (value === null) return make("td", { class: "undefined", title: reason }, "undefined");
      const words = this.data.print(metric, value);
      return make("td", {}, value === best ? make("strong", {}, words) : words);
    });
    const arrow = { higher: " ↑", lower: " ↓" }[direction] ?? "";
    return make("tr", {}, make("th", { scope: "row", class: "name" }, metricLink(metric, this.data.heading(metric)), arrow), ...cells);
  }

  #announce() {
    const { name } = this.data.cases[this.number];
    const places = this.shown.map((at) => `, ${this.opened.placeWords(at, this.slices[at])} of ${this.opened.planes[at].count}`);
    const place = this.opened.isVolume ? places.join("") : "";
    const loss = this.isSingle ? `, ${this.data.losses[this.loss]}` : "";
    byId("viewer-status").textContent = `${name}${loss}${place}`;
  }
}
