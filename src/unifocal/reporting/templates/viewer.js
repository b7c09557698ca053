// The viewer: one case, all losses beside each other or one at a time, slice by slice.
"use strict";

const LAYERS = ["truth", "prediction", "truePositives", "falsePositives", "falseNegatives"];
const NARROW = 640;

/** What is drawn at the moment, and the controls that change it. */
class Viewer {
  constructor(data) {
    this.data = data;
    this.number = null;
    this.opened = null;
    this.loss = 0;
    this.slice = 0;
    this.seed = 0;
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

  /** Show a case; when the reader asked for it, bring it into sight and put the focus there. */
  open(number, { isAsked }) {
    if (number === undefined) return;
    this.number = number;
    this.opened = this.data.open(number);
    this.seed = 0;
    this.slice = this.opened ? this.opened.start : 0;
    byId("viewer-title").textContent = this.data.cases[number].name;
    this.#fillSeeds();
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
      const size = `${opened.rows * opened.factor} × ${opened.columns * opened.factor} pixels`;
      parts.push(opened.factor > 1 ? `about ${size}, drawn at 1/${opened.factor}` : size);
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
    for (const id of [...LAYERS.map((layer) => `layer-${layer}`), "smooth"]) {
      byId(id).addEventListener("change", () => this.refresh());
    }
    for (const id of ["opacity", "level", "width"]) byId(id).addEventListener("input", () => this.refresh());
    byId("window-reset").addEventListener("click", () => {
      this.#resetWindow();
      this.refresh();
    });
    byId("slice").addEventListener("input", () => this.stepSlice(Number(byId("slice").value) - this.slice));
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
    this.slice = Math.max(0, Math.min(this.opened.slices.length - 1, this.slice + step));
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
    const wanted = this.isSingle ? [this.loss] : ["image", "truth", ...losses.keys()];
    this.tiles = this.opened ? wanted.map((what) => this.#buildTile(what)) : [];
    this.stage.replaceChildren(...(this.opened ? this.tiles.map(({ figure }) => figure) : [this.#instead()]));
    byId("viewer-controls").disabled = !this.opened;
  }

  #buildTile(what) {
    const canvas = make("canvas", { role: "img", "data-what": what });
    const words = make("span", { class: "numbers" });
    const title = typeof what === "number" ? this.#lossButton(what) : make("b", {}, what === "image" ? "Image" : "Truth");
    const figure = make("figure", { class: "shot" }, canvas, make("figcaption", {}, title, words));
    return { what, canvas, words, figure };
  }

  #lossButton(loss) {
    const dot = make("i", {});
    dot.style.setProperty("--c", this.data.colours[loss]);
    const words = this.isSingle ? "Show all beside each other" : "Show alone, large";
    const button = makeButton("", () => {
      this.loss = loss;
      this.setSingle(!this.isSingle);
    }, { class: "loss", title: words });
    button.append(dot, ...breakable(this.data.losses[loss]));
    return button;
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
    const { opened, slice } = this;
    if (!opened) return;
    const picture = await opened.picture(slice);
    if (this.opened !== opened || this.slice !== slice) return; // Something newer is being drawn.
    const image = picture && windowed(picture, opened.colour, Number(byId("level").value), Math.max(1, Number(byId("width").value)));
    this.drawnWidth = this.stage.clientWidth;
    for (const tile of this.tiles) this.#paintTile(tile, image);
    this.#announce();
  }

  #paintTile({ what, canvas, words, figure }, image) {
    figure.classList.toggle("current", what === this.loss && !this.isSingle);
    const { opened, slice, labelNumber, isLabel } = this;
    const { rows, columns } = opened;
    const whole = [0, rows, 0, columns];
    const window = byId("zoom-lesion").checked ? opened.windows[labelNumber - 1] : null;
    const box = what === "image" ? whole : (window ?? whole);
    const layers = Object.fromEntries(LAYERS.map((layer) => [layer, !this.isHidden && byId(`layer-${layer}`).checked]));
    const isLoss = typeof what === "number";
    const prediction = isLoss ? opened.prediction(slice, what, this.seed) : null;
    const truth = what === "image" ? null : opened.truth(slice);
    if (what === "truth") layers.truth = !this.isHidden;
    this.#size(canvas, (box[1] - box[0]) * opened.aspect, box[3] - box[2]);
    paint(canvas, {
      columns, rows, box, image, truth, prediction, layers, isLabel, opacity: Number(byId("opacity").value) / 100,
      isSmooth: byId("smooth").checked, frame: what === "image" && String(window) !== String(whole) ? window : null,
    });
    const counts = compare(opened.truth(slice), prediction, isLabel, columns, rows, box);
    words.replaceChildren(...this.#caption(what, prediction, counts));
    canvas.setAttribute("aria-label", this.#description(what, prediction, counts));
  }

  #size(canvas, height, width) {
    const available = this.isSingle ? this.stage.clientWidth : canvas.parentElement.clientWidth;
    const tallest = this.isSingle ? Math.max(320, innerHeight * 0.7) : available * 1.25;
    const scale = Math.min(available / width, tallest / height);
    const dots = devicePixelRatio || 1;
    canvas.style.width = `${Math.max(1, Math.floor(width * scale))}px`;
    canvas.style.height = `${Math.max(1, Math.floor(height * scale))}px`;
    canvas.width = Math.max(1, Math.round(Math.floor(width * scale) * dots));
    canvas.height = Math.max(1, Math.round(Math.floor(height * scale) * dots));
  }

  /** The score of the loss shown, in print. */
  #scoreWords(loss) {
    const { metric } = this.table;
    const { value, reason } = this.data.score(this.view, this.label, metric, this.number, loss);
    const { title, unit } = this.data.metrics[metric];
    const shown = value === null ? `undefined (${reason})` : `${this.data.print(metric, value)}${unit ? ` ${unit}` : ""}`;
    return `${title} ${shown}`;
  }

  #caption(what, prediction, counts) {
    if (what === "image") return [this.opened.slices[this.slice].picture ? "" : this.opened.baseTrouble || "no image given"];
    if (what === "truth") return [counts.truth ? `${counts.truth} px` : "empty here"];
    const parts = [make("b", {}, this.#scoreWords(what))];
    if (prediction === null) return [...parts, make("small", {}, this.opened.troubles[what] || "No prediction was kept")];
    parts.push(make("small", {}, `wrong: ${counts.falsePositives} px too many, ${counts.falseNegatives} px missed`));
    if (counts.hidden) parts.push(make("small", { class: "remark" }, `${counts.hidden} px of the former outside this view`));
    return parts;
  }

  #description(what, prediction, counts) {
    const { name } = this.data.cases[this.number];
    const place = this.opened.count > 1 ? `, slice ${this.opened.slices[this.slice].index + 1}` : "";
    if (what === "image") return `Image of ${name}${place}`;
    if (what === "truth") return `Truth of ${name}${place}: ${counts.truth} pixels`;
    if (prediction === null) return `${this.data.losses[what]}, ${name}${place}: no prediction to show`;
    const { truePositives, falsePositives, falseNegatives } = counts;
    const found = `${truePositives} pixels right, ${falsePositives} too many, ${falseNegatives} missed`;
    return `${this.data.losses[what]}, ${name}${place}: ${this.#scoreWords(what)}; ${found}`;
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
    byId("slice-row").hidden = !opened || opened.slices.length < 2;
    byId("window-row").hidden = !opened || !opened.slices[this.slice].picture;
    byId("viewer-note").textContent = opened ? this.#noteWords() : "";
    byId("overlays-hidden").hidden = !this.isHidden;
    if (!opened) return;
    const { index } = opened.slices[this.slice];
    Object.assign(byId("slice"), { max: opened.slices.length - 1, value: this.slice });
    byId("slice-value").textContent = `${index + 1} of ${opened.count}`;
    byId("slice").setAttribute("aria-valuetext", `slice ${index + 1} of ${opened.count}`);
    const [level, width] = [Number(byId("level").value), Number(byId("width").value)];
    byId("window-value").textContent = `black at ${this.#grey(level - width / 2)}, white at ${this.#grey(level + width / 2)}`;
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
    if (opened.count > 1) {
      const held = opened.held ? `${opened.held} hold anything` : "none holds anything";
      parts.push(`Slices are ${opened.plane}; of ${opened.count}, ${held}, and ${opened.slices.length} are in this page, the one with most errors among them.`);
    }
    if (opened.seeds.length === 1 && data.views.length > 2) {
      parts.push(`Predictions and scores are those of seed ${opened.seeds[0]}; the table above shows means over all runs.`);
    }
    if (opened.channels > 1 && !opened.colour) parts.push(`Of the image's ${opened.channels} channels the first is shown.`);
    if (opened.factor > 1) parts.push("Masks are drawn smaller than they are: a pixel shows a label where any of those it stands for has it.");
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
    const place = this.opened.count > 1 ? `, slice ${this.opened.slices[this.slice].index + 1} of ${this.opened.count}` : "";
    const loss = this.isSingle ? `, ${this.data.losses[this.loss]}` : "";
    byId("viewer-status").textContent = `${name}${loss}${place}`;
  }
}
