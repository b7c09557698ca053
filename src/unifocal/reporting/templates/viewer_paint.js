// One tile of the viewer: the windowed image, errors in colour, outlines, lines where planes cut, and words.
"use strict";

const COLOURS = {
  falsePositives: [255, 0, 200],
  falseNegatives: [0, 215, 80],
  truePositives: "rgb(255, 255, 255)",
  truth: "rgb(255, 214, 10)",
  prediction: "rgb(86, 200, 255)",
  cross: "rgb(255, 140, 40)",
};
const NO_PICTURE = 40;
const CROSS_GAP = 9;

/** Make a canvas as large as fits, in CSS pixels, with as many dots as the screen has. */
function fit(canvas, width, height, available, tallest) {
  const scale = Math.min(available / width, tallest / height);
  const dots = devicePixelRatio || 1;
  const [across, down] = [width, height].map((length) => Math.max(1, Math.floor(length * scale)));
  canvas.style.width = `${across}px`;
  canvas.style.height = `${down}px`;
  canvas.width = Math.round(across * dots);
  canvas.height = Math.round(down * dots);
}

/** A picture with its grey values spread over the window, as a canvas; colours are spread alike. */
function windowed(picture, isColour, level, width) {
  const canvas = make("canvas", { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d");
  const shown = context.createImageData(picture.width, picture.height);
  const low = level - width / 2;
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => ((value - low) / width) * 255);
  const { pixels } = picture;
  for (let at = 0; at < pixels.length; at += 4) {
    // Lossy compression may tint grey pictures; their green channel is the closest.
    shown.data[at] = table[pixels[isColour ? at : at + 1]];
    shown.data[at + 1] = table[pixels[at + 1]];
    shown.data[at + 2] = table[pixels[isColour ? at + 2 : at + 1]];
    shown.data[at + 3] = 255;
  }
  context.putImageData(shown, 0, 0);
  return canvas;
}

/** What is right and wrong inside a box [top, bottom, left, right], and in the whole slice. */
function compare(truth, prediction, isLabel, columns, rows, box) {
  const [top, bottom, left, right] = box;
  const counts = { truth: 0, truePositives: 0, falsePositives: 0, falseNegatives: 0, hidden: 0 };
  for (let at = 0; at < rows * columns; at++) {
    const wanted = isLabel(truth[at]);
    const given = prediction !== null && isLabel(prediction[at]);
    if (wanted) counts.truth++;
    if (wanted && given) counts.truePositives++;
    if (wanted && !given) counts.falseNegatives++;
    if (given && !wanted) {
      counts.falsePositives++;
      const row = Math.floor(at / columns);
      const column = at % columns;
      if (row < top || row >= bottom || column < left || column >= right) counts.hidden++;
    }
  }
  return counts;
}

/** Errors inside a box as a canvas of the box's size. */
function paintErrors(truth, prediction, isLabel, columns, box, layers) {
  const [top, bottom, left, right] = box;
  const canvas = make("canvas", { width: right - left, height: bottom - top });
  const context = canvas.getContext("2d");
  const shown = context.createImageData(canvas.width, canvas.height);
  let to = 0;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++, to += 4) {
      const wanted = isLabel(truth[row * columns + column]);
      const given = isLabel(prediction[row * columns + column]);
      if (wanted === given) continue;
      if (!layers[given ? "falsePositives" : "falseNegatives"]) continue;
      shown.data.set(COLOURS[given ? "falsePositives" : "falseNegatives"], to);
      shown.data[to + 3] = 255;
    }
  }
  context.putImageData(shown, 0, 0);
  return canvas;
}

/** The edges between pixels inside and outside, as a path in canvas units. */
function edges(isInside, columns, rows, box, scaleX, scaleY) {
  const [top, bottom, left, right] = box;
  const path = new Path2D();
  const inside = (row, column) =>
    row >= 0 && row < rows && column >= 0 && column < columns && isInside(row * columns + column);
  const line = (row1, column1, row2, column2) => {
    path.moveTo((column1 - left) * scaleX, (row1 - top) * scaleY);
    path.lineTo((column2 - left) * scaleX, (row2 - top) * scaleY);
  };
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      if (!inside(row, column)) continue;
      if (!inside(row - 1, column)) line(row, column, row, column + 1);
      if (!inside(row + 1, column)) line(row + 1, column, row + 1, column + 1);
      if (!inside(row, column - 1)) line(row, column, row + 1, column);
      if (!inside(row, column + 1)) line(row, column + 1, row + 1, column + 1);
    }
  }
  return path;
}

/** Thin lines across a canvas at `{row, column}` in canvas units, each null or a place; open where they cross. */
function paintCross(context, { row, column }) {
  const { width, height } = context.canvas;
  const dots = devicePixelRatio || 1;
  const line = (at, across, length, draw) => {
    if (at === null) return;
    const [gapFrom, gapTo] = across === null ? [length, length] : [across - CROSS_GAP * dots, across + CROSS_GAP * dots];
    for (const [from, to] of [[0, gapFrom], [gapTo, length]]) if (to > from) draw(from, to);
  };
  const thick = Math.max(1, Math.round(dots));
  const start = (at) => at - Math.floor(thick / 2);
  context.fillStyle = COLOURS.cross;
  line(row, column, width, (from, to) => context.fillRect(from, start(row), to - from, thick));
  line(column, row, height, (from, to) => context.fillRect(start(column), from, thick, to - from));
}

/**
 * Paint a canvas.
 *
 * `scene`: columns and rows of the masks, `box` to show, `image` (a canvas, or null), `truth` and `prediction`
 * (label numbers, or null), `isLabel` (whether a number is the label's), `layers` (what is switched on), `opacity` of
 * errors, `isSmooth`, `frame` (a box to mark, or null), and `cross` (where other planes cut, `{row, column}`, or null).
 */
function paint(canvas, scene) {
  const { columns, rows, box, image, truth, prediction, isLabel, layers } = scene;
  const [top, bottom, left, right] = box;
  const context = canvas.getContext("2d");
  const [width, height] = [canvas.width, canvas.height];
  const [scaleX, scaleY] = [width / (right - left), height / (bottom - top)];
  context.globalAlpha = 1;
  context.fillStyle = `rgb(${NO_PICTURE}, ${NO_PICTURE}, ${NO_PICTURE})`;
  context.fillRect(0, 0, width, height);
  if (image) {
    const [across, down] = [image.width / columns, image.height / rows];
    context.imageSmoothingEnabled = scene.isSmooth;
    context.imageSmoothingQuality = "high";
    const part = [left * across, top * down, (right - left) * across, (bottom - top) * down];
    context.drawImage(image, ...part, 0, 0, width, height);
  }
  if (prediction) {
    context.imageSmoothingEnabled = false;
    context.globalAlpha = scene.opacity;
    context.drawImage(paintErrors(truth, prediction, isLabel, columns, box, layers), 0, 0, width, height);
    context.globalAlpha = 1;
  }
  const outline = (isInside, colour) => {
    context.strokeStyle = colour;
    context.stroke(edges(isInside, columns, rows, box, scaleX, scaleY));
  };
  context.lineCap = "square";
  context.lineWidth = Math.max(1.5, Math.min(3, width / 250));
  if (prediction && layers.truePositives) {
    outline((at) => isLabel(truth[at]) && isLabel(prediction[at]), COLOURS.truePositives);
  }
  if (prediction && layers.prediction) outline((at) => isLabel(prediction[at]), COLOURS.prediction);
  if (truth && layers.truth) outline((at) => isLabel(truth[at]), COLOURS.truth);
  if (scene.frame) {
    const [from, to, start, end] = scene.frame;
    context.strokeStyle = COLOURS.truth;
    context.strokeRect((start - left) * scaleX, (from - top) * scaleY, (end - start) * scaleX, (to - from) * scaleY);
  }
  if (scene.cross) {
    const { row, column } = scene.cross;
    paintCross(context, {
      row: row === null ? null : Math.floor((row - top) * scaleY),
      column: column === null ? null : Math.floor((column - left) * scaleX),
    });
  }
}

/** One case under one loss, or its image or truth: a canvas for each plane shown, and words. */
class Tile {
  constructor(viewer, what) {
    this.viewer = viewer;
    this.what = what;
    this.shots = viewer.shown.map((at) => this.#buildShot(at));
    this.words = make("span", { class: "numbers" });
    const title = this.isLoss ? this.#lossButton() : make("b", {}, what === "image" ? "Image" : "Truth");
    const planes = make("div", { class: "planes" }, ...this.shots.map(({ frame, words }) => make("div", {}, frame, words)));
    this.figure = make("figure", { class: "shot" }, planes, make("figcaption", {}, title, this.words));
  }

  get isLoss() {
    return typeof this.what === "number";
  }

  get isImage() {
    return this.what === "image";
  }

  #buildShot(at) {
    const canvas = make("canvas", { role: "img", "data-what": this.what, "data-plane": at });
    const words = this.viewer.isThree ? make("p", {}) : null;
    const shot = { at, canvas, frame: make("div", { class: "frame" }, canvas), words, box: [0, 1, 0, 1] };
    canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const [top, bottom, left, right] = shot.box;
      const row = top + (offsetY / canvas.clientHeight) * (bottom - top);
      const column = left + (offsetX / canvas.clientWidth) * (right - left);
      this.viewer.point(at, { row, column });
    });
    return shot;
  }

  #lossButton() {
    const { viewer, what } = this;
    const dot = make("i", {});
    dot.style.setProperty("--c", viewer.data.colours[what]);
    const words = viewer.isSingle ? "Show all beside each other" : "Show alone, large";
    const button = makeButton("", () => {
      viewer.loss = what;
      viewer.setSingle(!viewer.isSingle);
    }, { class: "loss", title: words });
    button.append(dot, ...breakable(viewer.data.losses[what]));
    return button;
  }

  /** Paint every plane's canvas; `images` has the windowed picture of each plane. */
  paint(images) {
    const { viewer } = this;
    this.figure.classList.toggle("current", this.what === viewer.loss && !viewer.isSingle);
    const seen = this.shots.map((shot) => this.#paintShot(shot, images[shot.at]));
    this.words.replaceChildren(...this.#caption(seen[0]));
    this.shots.forEach(({ words }, place) => words?.replaceChildren(...this.#planeWords(seen[place])));
  }

  /** Paint one canvas; returns what is on it. */
  #paintShot(shot, image) {
    const { viewer, what } = this;
    const { opened, labelNumber, isLabel } = viewer;
    const { at, canvas } = shot;
    const [plane, slice] = [opened.planes[at], viewer.slices[at]];
    const { rows, columns } = plane;
    const whole = [0, rows, 0, columns];
    const window = byId("zoom-lesion").checked ? plane.windows[labelNumber - 1] : null;
    shot.box = this.isImage ? whole : (window ?? whole);
    const layers = Object.fromEntries(LAYERS.map((layer) => [layer, !viewer.isHidden && byId(`layer-${layer}`).checked]));
    if (what === "truth") layers.truth = !viewer.isHidden;
    const prediction = this.isLoss ? plane.prediction(slice, what, viewer.seed) : null;
    this.#size(shot, plane.aspect);
    paint(canvas, {
      columns, rows, box: shot.box, image, truth: this.isImage ? null : plane.truth(slice), prediction, layers, isLabel,
      opacity: Number(byId("opacity").value) / 100, isSmooth: byId("smooth").checked,
      frame: this.isImage && String(window) !== String(whole) ? window : null,
      cross: viewer.isThree && !viewer.isHidden && byId("cross").checked ? opened.crossing(at, viewer.slices) : null,
    });
    shot.frame.classList.toggle("active", viewer.isThree && at === viewer.plane);
    const counts = compare(plane.truth(slice), prediction, isLabel, columns, rows, shot.box);
    const seen = { at, plane, slice, prediction, counts };
    canvas.setAttribute("aria-label", this.#description(seen));
    return seen;
  }

  #size({ canvas, frame, box }, aspect) {
    const [top, bottom, left, right] = box;
    const available = frame.clientWidth;
    const tallest = this.viewer.isSingle ? Math.max(320, innerHeight * 0.7) : available * 1.25;
    fit(canvas, right - left, (bottom - top) * aspect, available, tallest);
  }

  /** The score of the loss shown, in print. */
  get #scoreWords() {
    const { data, view, label, number, table } = this.viewer;
    const { value, reason } = data.score(view, label, table.metric, number, this.what);
    const { title, unit } = data.metrics[table.metric];
    const shown = value === null ? `undefined (${reason})` : `${data.print(table.metric, value)}${unit ? ` ${unit}` : ""}`;
    return `${title} ${shown}`;
  }

  /** What stands below; with all planes, what is said of each stands at its picture. */
  #caption({ plane, slice, prediction, counts }) {
    const { opened, isThree } = this.viewer;
    if (this.isImage) return [plane.slices[slice].picture ? "" : opened.baseTrouble || "no image given"];
    const here = opened.isVolume ? ` in this ${plane.words}` : "";
    if (!this.isLoss) return [isThree ? "" : counts.truth ? `${counts.truth} px${here}` : `empty${here || " here"}`];
    const parts = [make("b", {}, this.#scoreWords)];
    if (prediction === null) return [...parts, make("small", {}, opened.troubles[this.what] || "No prediction was kept")];
    return isThree ? parts : [...parts, ...this.#errorWords(`wrong${here}: `, counts)];
  }

  #errorWords(before, { falsePositives, falseNegatives, hidden }) {
    const parts = [make("small", {}, `${before}${falsePositives} px too many, ${falseNegatives} px missed`)];
    if (hidden) parts.push(make("small", { class: "remark" }, `${hidden} px of the former outside this view`));
    return parts;
  }

  /** What stands at the picture of one of several planes: pixels are those of the slice shown. */
  #planeWords({ at, plane, slice, prediction, counts }) {
    if (this.isImage) return [`${this.viewer.opened.placeWords(at, slice)} of ${plane.count}`];
    if (!this.isLoss) return [`${plane.words}: ${counts.truth ? `${counts.truth} px` : "empty"}`];
    return prediction === null ? [plane.words] : this.#errorWords(`${plane.words}: `, counts);
  }

  #description({ at, slice, prediction, counts }) {
    const { data, number, opened } = this.viewer;
    const place = opened.isVolume ? `, ${opened.placeWords(at, slice)}` : "";
    const where = `${data.cases[number].name}${place}`;
    if (this.isImage) return `Image of ${where}`;
    if (!this.isLoss) return `Truth of ${where}: ${counts.truth} pixels`;
    const loss = data.losses[this.what];
    if (prediction === null) return `${loss}, ${where}: no prediction to show`;
    const { truePositives, falsePositives, falseNegatives } = counts;
    const found = `${truePositives} pixels right, ${falsePositives} too many, ${falseNegatives} missed`;
    return `${loss}, ${where}: ${this.#scoreWords}; ${opened.isVolume ? "in this slice " : ""}${found}`;
  }
}
