// One picture of the viewer: the windowed image, errors in colour, outlines.
"use strict";

const COLOURS = {
  falsePositives: [255, 0, 200],
  falseNegatives: [0, 215, 80],
  truePositives: "rgb(255, 255, 255)",
  truth: "rgb(255, 214, 10)",
  prediction: "rgb(86, 200, 255)",
};
const NO_PICTURE = 40;

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

/**
 * Paint a canvas.
 *
 * `scene`: columns and rows of the masks, `box` to show, `image` (a canvas, or null), `truth` and `prediction`
 * (label numbers, or null), `isLabel` (whether a number is the label's), `layers` (what is switched on), `opacity` of errors, `isSmooth`, and `frame` (a box
 * to mark, or null).
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
}
