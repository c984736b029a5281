/** What one model makes of an image and of one of its pixels: bars, field, surprise. */

import { showBars } from "./bars.js";
import { decode, decodeFloats } from "./bytes.js";
import { el, refill } from "./dom.js";
import { bits, bytes, number, several, sum } from "./format.js";
import { FIELD, paintCells, surpriseColor } from "./paint.js";
import { sizeBars } from "./sizes.js";

export class Sight {
  constructor() {
    this.title = el("h3");
    this.bars = el("div", { class: "charts" });
    this.field = el("canvas", { role: "img" });
    this.fieldWords = el("figcaption");
    this.surprise = el("canvas", { role: "img" });
    this.surpriseWords = el("figcaption");
    this.sizes = el("div");
    this.error = el("p", { class: "error", role: "alert" });
    this.node = el(
      "section",
      { class: "sight" },
      this.title,
      this.error,
      el("h4", {}, "What it expects here"),
      this.bars,
      el("div", { class: "pair" }, this.fieldFigure(), this.surpriseFigure()),
      this.sizes,
    );
  }

  fieldFigure() {
    const heading = el("h4", {}, "What it sees");
    return el("figure", {}, heading, this.field, this.fieldWords);
  }

  surpriseFigure() {
    const heading = el("h4", {}, "What surprised it");
    return el("figure", {}, heading, this.surprise, this.surpriseWords);
  }

  /** Name the model. */
  setModel(name) {
    this.title.textContent = name;
  }

  fail(message) {
    this.error.textContent = message;
  }

  /** Show what the model predicts at a pixel, and the pixels it sees there. */
  showPixel({ probabilities, sees, past }, images, row, column) {
    this.fail("");
    const levels = probabilities.map((_, color) => images.at(0, color, row, column));
    showBars(this.bars, probabilities, levels);
    this.showField(decode(sees), decode(past), images, row * images.width + column);
  }

  showField(sees, past, { height, width }, here) {
    const near = reach(sees, width, here);
    const kind = (cell) => {
      if (cell === here) return "here";
      if (sees[cell]) return "sees";
      if (!past[cell]) return "later";
      return near(cell) ? "blind" : "far";
    };
    paintCells(this.field, height, width, (row, column) => FIELD[kind(row * width + column)]);
    const cells = Array.from({ length: height * width }, (_, cell) => kind(cell));
    const count = (name) => cells.filter((cell) => cell === name).length;
    const [seen, blind, far] = ["sees", "blind", "far"].map(count);
    const hidden = blind ? `${number(blind)} lie in its blind spot` : "It has no blind spot";
    const beyond = far ? `, ${number(far)} out of its reach.` : ".";
    const all = several(seen + blind + far, "earlier pixel");
    const words = `Sees ${number(seen)} of ${all}. ${hidden}${beyond}`;
    this.fieldWords.textContent = words;
    this.field.setAttribute("aria-label", words);
  }

  /** Show the bits of each pixel, and their sum beside other ways to keep the image. */
  showScore(score, { colors, height, width }) {
    this.fail("");
    const steps = decodeFloats(score.bits);
    const size = height * width;
    const cells = Array.from({ length: size }, (_, cell) =>
      sum(Array.from({ length: colors }, (__, color) => steps[color * size + cell])),
    );
    const most = Math.max(1, ...cells);
    paintCells(this.surprise, height, width, (row, column) =>
      surpriseColor(cells[row * width + column], most),
    );
    const words = `${bits(score.total_bits)} in all; the darkest pixel ${number(most, 1)}.`;
    this.surpriseWords.textContent = words;
    this.surprise.setAttribute("aria-label", words);
    this.showSizes(score);
  }

  showSizes({ total_bits: total, png_bytes: png, raw_bytes: raw }) {
    const rows = [
      ["by this model", Math.ceil(total / 8), "ours"],
      ["as PNG", png, "png"],
      ["its levels alone", raw, "raw"],
    ];
    const ratio = png / Math.max(1, total / 8);
    const ours = bytes(Math.ceil(total / 8));
    const words = `The image in ${ours}: PNG takes ${number(ratio, 1)} times that.`;
    refill(this.sizes, el("h4", {}, "What it costs to keep"), el("p", {}, words), sizeBars(rows));
  }
}

/** Whether a cell lies in the box around this pixel and all that it sees. */
function reach(sees, width, here) {
  const at = [here, ...sees.keys()].filter((cell) => cell === here || sees[cell]);
  const columns = at.map((cell) => cell % width);
  const [top, left, right] = [Math.min(...at), Math.min(...columns), Math.max(...columns)];
  return (cell) =>
    cell >= top - (top % width) && cell % width >= left && cell % width <= right;
}
