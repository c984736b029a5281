/** A map of what the middle pixel sees, and how much of it counts by now. */

import { decode, decodeFloats } from "./bytes.js";
import { el } from "./dom.js";
import { number, sum } from "./format.js";
import { FIELD, paintCells } from "./paint.js";

const PALE = [226, 236, 246];
const DEEP = [16, 72, 130];
const KINDS = [
  ["here", FIELD.here, "this pixel"],
  ["weak", PALE, "seen"],
  ["strong", DEEP, "seen, and counts"],
  ["unseen", FIELD.blind, "earlier, but never seen"],
  ["later", FIELD.later, "later"],
];

export class Influence {
  constructor() {
    this.canvas = el("canvas", { role: "img" });
    this.words = el("figcaption");
    this.node = el("figure", {}, this.canvas, this.words, legend());
    this.setNet({ height: 14, width: 14 }, { row: 7, column: 7, receptive_field: null });
  }

  /** Show the field of a net; without one, all is later. */
  setNet({ height, width }, { row, column, receptive_field: field }) {
    this.size = [height, width];
    this.here = row * width + column;
    this.field = field && decode(field);
    this.words.textContent = field ? this.counted() : "";
    this.paint(new Float32Array(height * width));
  }

  counted() {
    const seen = sum([...this.field]);
    const rest = this.here - seen;
    const blind = rest ? `${number(rest)} it can never see.` : "It can see them all.";
    return `Sees ${number(seen)} of ${number(this.here)} earlier pixels. ${blind}`;
  }

  /** @param {string} influence base64 of float32, (H, W) */
  show(influence) {
    this.paint(decodeFloats(influence));
  }

  paint(sizes) {
    const [height, width] = this.size;
    const most = Math.max(1, ...sizes);
    const color = (cell) => {
      if (cell === this.here) return FIELD.here;
      if (cell > this.here || !this.field) return FIELD.later;
      return this.field[cell] ? mixed(Math.sqrt(sizes[cell] / most)) : FIELD.blind;
    };
    paintCells(this.canvas, height, width, (row, column) => color(row * width + column));
    this.canvas.setAttribute("aria-label", this.words.textContent || "Not known yet.");
  }
}

function mixed(share) {
  return PALE.map((value, i) => value + share * (DEEP[i] - value));
}

function legend() {
  const entries = KINDS.map(([, color, words]) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.backgroundColor = `rgb(${color.join(" ")})`;
    return el("li", {}, swatch, words);
  });
  return el("ul", { class: "legend" }, entries);
}
