/** Pictures of levels: their grays, and canvases that show them. */

import { FIELD, UNKNOWN, paintCells } from "./paint.js";

/** The gray of a level. */
export function gray(level, levels) {
  const value = Math.round((255 * level) / (levels - 1));
  return [value, value, value];
}

/**
 * Paint an image of which the first `drawn` pixels are there, and those that are `known`.
 * @param {HTMLCanvasElement} canvas
 * @param {Object} model of which shape and number of levels count
 * @param {Uint8Array} cells levels, row by row
 * @param {{drawn?: number, known?: Uint8Array, here?: number}} more a pixel to mark as this one
 */
export function paint(canvas, model, cells, more = {}) {
  const { drawn = cells.length, known = null, here = -1 } = more;
  const [, height, width] = model.shape;
  paintCells(canvas, height, width, (row, column) => {
    const cell = row * width + column;
    if (cell === here) return FIELD.here;
    return cell < drawn || known?.[cell] ? gray(cells[cell], model.levels) : UNKNOWN;
  });
}

/** The images that the page came with, each an array of levels. */
export function imagesOf(model) {
  const bytes = Uint8Array.from(atob(model.images), (character) => character.charCodeAt(0));
  const size = model.shape[1] * model.shape[2];
  return Array.from({ length: bytes.length / size }, (_, n) =>
    bytes.subarray(n * size, (n + 1) * size),
  );
}

/** Bits of surprise that a distribution promises: its entropy. */
export function entropy(probabilities) {
  return probabilities.reduce((total, p) => (p > 0 ? total - p * Math.log2(p) : total), 0);
}

/** Whether the reader asks for less motion. */
export function isStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
