/** How many bits each pixel cost, as a map, and the one scale that all maps share. */

import { outline } from "./board.js";
import { el, refill } from "./dom.js";
import { number } from "./format.js";
import { paintCells, surpriseColor } from "./paint.js";

const SIDE = 224; // canvas pixels, about
const STEPS = 60;

/** A map of surprise; `onpoint(row, column)` is called where it is pressed. */
export class SurpriseMap {
  constructor(onpoint) {
    this.small = document.createElement("canvas");
    this.node = el("canvas", { class: "map", role: "img", pointerdown: (event) => press(event) });
    const press = ({ clientX, clientY }) => {
      const box = this.node.getBoundingClientRect();
      if (!this.width) return;
      const cell = (at, from, size, count) =>
        Math.max(0, Math.min(count - 1, Math.floor(((at - from) / size) * count)));
      onpoint(
        cell(clientY, box.top, box.height, this.height),
        cell(clientX, box.left, box.width, this.width),
      );
    };
  }

  /** Show the bits of each pixel on a scale that ends at `most`. */
  show(bits, { height, width }, most, words) {
    Object.assign(this, { height, width });
    paintCells(this.small, height, width, (row, column) =>
      surpriseColor(bits[row * width + column], most),
    );
    this.node.setAttribute("aria-label", words);
    this.node.dataset.most = most;
  }

  /** Paint it, with the pixel pointed at. */
  point(row, column) {
    if (!this.width) return;
    const scale = Math.max(1, Math.floor(SIDE / Math.max(this.height, this.width)));
    Object.assign(this.node, { width: this.width * scale, height: this.height * scale });
    const context = this.node.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.small, 0, 0, this.node.width, this.node.height);
    outline(context, [column * scale, row * scale], scale);
  }

  clear() {
    this.width = 0;
    Object.assign(this.node, { width: 1, height: 1 });
    this.node.removeAttribute("aria-label");
  }
}

/** The scale of colors, and what a bit is. */
export class Scale {
  constructor() {
    this.bar = el("canvas", { "aria-hidden": "true", class: "scale" });
    this.end = el("span");
    const ends = el("div", { class: "axis" }, el("span", {}, "0 bits: expected"), this.end);
    const words = el("details", { class: "hint" }, el("summary", {}, "What is a bit?"), BIT);
    this.node = el("div", { class: "scaled" }, this.bar, ends, words);
  }

  show(most) {
    paintCells(this.bar, 1, STEPS, (_, step) => surpriseColor((step / (STEPS - 1)) * most, most));
    refill(this.end, `${number(most)} bits: a surprise`);
  }
}

const BIT =
  "A bit is the answer to one yes-or-no question. A level that was given one chance in two costs " +
  "1 bit, one in four 2 bits, one in a thousand about 10. Both models are painted on this scale. " +
  "1 nat, the unit of papers, is 1.44 bits.";
