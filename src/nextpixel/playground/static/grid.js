/** Grids of pixels as SVG: one path for each kind of cell, which the style sheet colors. */

import { el, svg } from "./dom.js";

const SQUARE = "h.92v.92h-.92z";
const WHOLE = "h1v1h-1z";
const SHAPES = {
  cross: "m.26.26l.4.4m0-.4l-.4.4",
  frame: "m-.04-.04h1v1h-1z",
  busy: "m.28.28h.44v.44h-.44z",
  black: WHOLE,
  white: WHOLE,
  unknown: WHOLE,
};

export class Grid {
  /**
   * @param {number} height
   * @param {number} width
   * @param {string[]} kinds classes of cells, painted in this order
   * @param {[number, number]} corner where it stands, across and down
   */
  constructor(height, width, kinds, corner = [0, 0]) {
    Object.assign(this, { height, width });
    this.paths = new Map(kinds.map((kind) => [kind, svg("path", { class: kind })]));
    const place = { class: "grid", transform: `translate(${corner.join(" ")})` };
    this.node = svg("g", place, [...this.paths.values()]);
  }

  /** Give each cell its kinds, by `kindsAt(row, column)` -> string[]. */
  paint(kindsAt) {
    const drawn = new Map([...this.paths.keys()].map((kind) => [kind, ""]));
    for (let cell = 0; cell < this.height * this.width; cell += 1) {
      const [row, column] = [Math.floor(cell / this.width), cell % this.width];
      for (const kind of kindsAt(row, column)) {
        drawn.set(kind, `${drawn.get(kind)}M${column} ${row}${SHAPES[kind] ?? SQUARE}`);
      }
    }
    for (const [kind, path] of drawn) setPath(this.paths.get(kind), path);
  }

  /** The row and column at a pointer, the nearest where it is outside. */
  cell({ clientX, clientY }) {
    const at = new DOMPoint(clientX, clientY).matrixTransform(this.node.getScreenCTM().inverse());
    return this.nearest(Math.floor(at.y), Math.floor(at.x));
  }

  /** The nearest row and column that there are. */
  nearest(row, column) {
    const within = (value, size) => Math.max(0, Math.min(size - 1, value));
    return [within(row, this.height), within(column, this.width)];
  }
}

/** What stays as it is need not be drawn again. */
function setPath(node, path) {
  if (node.getAttribute("d") !== path) node.setAttribute("d", path);
}

/**
 * A picture drawn in cells.
 * @param {[number, number, number, number]} box left, top, width and height, in cells
 * @param {Object} attributes of the svg element; aria-label says what it shows
 */
export function picture(box, attributes, ...children) {
  return svg("svg", { viewBox: box.join(" "), role: "img", ...attributes }, ...children);
}

/** A picture with words above it. */
export function figure(words, drawing, attributes = {}) {
  return el("figure", attributes, el("figcaption", {}, words), drawing);
}

/** What the kinds of cells mean: pairs of kind and words. */
export function legend(entries) {
  const items = entries.map(([kind, words]) =>
    el("li", {}, el("span", { class: `swatch ${kind}` }), words),
  );
  return el("ul", { class: "legend" }, items);
}
