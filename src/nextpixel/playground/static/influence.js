/** A map of what the middle pixel sees, and how much of it counts by now. */

import { decode, decodeFloats } from "./bytes.js";
import { el } from "./dom.js";
import { number } from "./format.js";
import { FIELD, paintCells } from "./paint.js";

const PALE = [226, 236, 246];
const DEEP = [16, 72, 130];
const KINDS = [
  ["here", FIELD.here, "this pixel"],
  ["weak", PALE, "seen"],
  ["strong", DEEP, "seen, and counts"],
  ["blind", FIELD.blind, "blind spot"],
  ["far", FIELD.far, "out of reach"],
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
    const here = row * width + column;
    const seen = field && decode(field);
    const near = seen && reach(seen, width, here);
    const kind = (cell) => {
      if (cell === here) return "here";
      if (cell > here || !seen) return "later";
      if (seen[cell]) return "seen";
      return near(cell) ? "blind" : "far";
    };
    this.kinds = Array.from({ length: height * width }, (_, cell) => kind(cell));
    this.words.textContent = seen ? this.counted() : "";
    this.paint(new Float32Array(height * width));
  }

  counted() {
    const count = (name) => this.kinds.filter((kind) => kind === name).length;
    const [seen, blind, far] = ["seen", "blind", "far"].map(count);
    const hidden = blind ? `${number(blind)} lie in its blind spot` : "It has no blind spot";
    const beyond = far ? `, ${number(far)} are out of its reach.` : ".";
    const all = `${number(seen)} of ${number(seen + blind + far)} earlier pixels`;
    return `Sees ${all}. ${hidden}${beyond}`;
  }

  /** @param {string} influence base64 of float32, (H, W) */
  show(influence) {
    this.paint(decodeFloats(influence));
  }

  paint(sizes) {
    const [height, width] = this.size;
    const most = Math.max(1, ...sizes);
    const color = (cell) => {
      const kind = this.kinds[cell];
      return kind === "seen" ? mixed(Math.sqrt(sizes[cell] / most)) : FIELD[kind];
    };
    paintCells(this.canvas, height, width, (row, column) => color(row * width + column));
    this.canvas.setAttribute("aria-label", this.words.textContent || "Not known yet.");
  }
}

/** Whether a cell lies in the box around this pixel and all that it sees. */
function reach(seen, width, here) {
  const cells = [here, ...seen.keys()].filter((cell) => cell === here || seen[cell]);
  const columns = cells.map((cell) => cell % width);
  const [left, right] = [Math.min(...columns), Math.max(...columns)];
  const top = Math.min(...cells.map((cell) => Math.floor(cell / width)));
  return (cell) => cell >= top * width && cell % width >= left && cell % width <= right;
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
