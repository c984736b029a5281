/** An inspector of one model: its prediction at a pixel, its receptive field, the image's cost. */

import { decode, decodeFloats } from "./bytes.js";
import { el, refill, svg } from "./dom.js";
import { bits, bytes, number, percent, several, sum } from "./format.js";
import { uncounted } from "./modelfield.js";
import { FIELD, paintCells, surpriseColor } from "./paint.js";
import { sizeBars } from "./sizes.js";

const NAMES = { 1: [""], 3: ["Red", "Green", "Blue"] };

export class Inspector {
  constructor() {
    this.title = el("h3");
    this.note = el("p", { class: "hint" });
    this.bars = el("div", { class: "charts" });
    this.field = el("canvas", { role: "img" });
    this.fieldWords = el("figcaption");
    this.surprise = el("canvas", { role: "img" });
    this.surpriseWords = el("figcaption");
    this.sizes = el("div");
    this.error = el("p", { class: "error", role: "alert" });
    this.node = el(
      "section",
      { class: "inspector" },
      this.title,
      this.note,
      this.error,
      el("h4", {}, "What it expects here"),
      this.bars,
      el("div", { class: "pair" }, this.fieldFigure(), this.surpriseFigure()),
      this.sizes,
    );
  }

  fieldFigure() {
    const heading = el("h4", {}, "Receptive field");
    return el("figure", {}, heading, this.field, this.fieldWords);
  }

  surpriseFigure() {
    const heading = el("h4", {}, "What surprised it");
    return el("figure", {}, heading, this.surprise, this.surpriseWords);
  }

  /** Name the model, and what it is given beyond the pixels; figures of another one go. */
  setModel(model) {
    if (this.model !== model) this.clear();
    this.model = model;
    this.title.textContent = model.name;
    this.code = uncounted(model);
    this.note.textContent =
      this.code && `Also given ${this.code}; the bits of that are not counted below.`;
  }

  clear() {
    this.fail("");
    for (const node of [this.bars, this.fieldWords, this.surpriseWords, this.sizes]) refill(node);
    for (const canvas of [this.field, this.surprise]) canvas.width = canvas.height = 1;
  }

  fail(message) {
    this.error.textContent = message;
  }

  /** Show what the model predicts at a pixel, and its receptive field there. */
  showPixel({ probabilities, receptive_field: field, past }, images, row, column) {
    this.fail("");
    const levels = probabilities.map((_, color) => images.at(0, color, row, column));
    showBars(this.bars, probabilities, levels);
    this.showField(decode(field), decode(past), images, row * images.width + column);
  }

  showField(field, past, { height, width }, here) {
    const near = reach(field, width, here);
    const kind = (cell) => {
      if (cell === here) return "here";
      if (field[cell]) return "seen";
      if (!past[cell]) return "later";
      return near(cell) ? "blind" : "far";
    };
    paintCells(this.field, height, width, (row, column) => FIELD[kind(row * width + column)]);
    const cells = Array.from({ length: height * width }, (_, cell) => kind(cell));
    const count = (name) => cells.filter((cell) => cell === name).length;
    const [seen, blind, far] = ["seen", "blind", "far"].map(count);
    const hidden = blind ? `${number(blind)} lie in its blind spot` : "It has no blind spot";
    const beyond = far ? `, ${number(far)} out of its reach.` : ".";
    const all = several(seen + blind + far, "earlier pixel");
    const words = `Sees ${number(seen)} of ${all}. ${hidden}${beyond}`;
    this.fieldWords.textContent = words;
    this.field.setAttribute("aria-label", words);
  }

  /** Show the bits of each pixel, and their sum against other ways to keep the image. */
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
      [this.code ? "by this model, code apart" : "by this model", Math.ceil(total / 8), "ours"],
      ...(png ? [["as PNG", png, "png"]] : []),
      ["its levels alone", raw, "raw"],
    ];
    const ours = bytes(Math.ceil(total / 8));
    const ratio = number(png / Math.max(1, total / 8), 1);
    const more = png ? `: PNG takes ${ratio} times that.` : ".";
    const words = this.code ? " and its code, which is not counted." : more;
    const verdict = el("p", {}, `The image in ${ours}${words}`);
    refill(this.sizes, el("h4", {}, "What it costs to keep"), verdict, sizeBars(rows));
  }
}

/** Whether a cell lies in the box around this pixel and all that it sees. */
function reach(field, width, here) {
  const at = [here, ...field.keys()].filter((cell) => cell === here || field[cell]);
  const columns = at.map((cell) => cell % width);
  const [top, left, right] = [Math.min(...at), Math.min(...columns), Math.max(...columns)];
  return (cell) =>
    cell >= top - (top % width) && cell % width >= left && cell % width <= right;
}

/** Show the distributions of a pixel, one a color, with its own levels marked. */
function showBars(place, probabilities, levels) {
  const names = NAMES[levels.length] ?? levels.map((_, color) => `Color ${color + 1}`);
  refill(
    place,
    probabilities.map((row, color) => chart(row, levels[color], names[color])),
  );
}

function chart(probabilities, level, name) {
  const words = inWords(probabilities, level);
  const bars = probabilities.map((share, at) => bar(share, at, at === level));
  const view = { viewBox: `0 0 ${probabilities.length} 1`, preserveAspectRatio: "none" };
  const picture = svg("svg", { class: "bars", role: "img", "aria-label": words, ...view }, bars);
  const ends = [el("span", {}, "level 0"), el("span", {}, String(probabilities.length - 1))];
  const caption = el("figcaption", {}, name ? `${name}: ${words}` : words);
  const figure = el("figure", {}, picture, el("div", { class: "axis" }, ends), caption);
  picture.style.maxWidth = figure.children[1].style.maxWidth = `${4 * probabilities.length}rem`;
  return figure;
}

function bar(share, at, actual) {
  const height = Math.max(share, 0.004); // what is almost nothing is still a line
  const place = { x: at + 0.06, y: 1 - height, width: 0.88, height };
  return svg("rect", { class: actual ? "actual" : "bar", ...place });
}

function inWords(probabilities, level) {
  const ranked = probabilities.map((share, at) => [share, at]).sort((a, b) => b[0] - a[0]);
  const best = ranked.slice(0, 2).map(([share, at]) => `${at} (${percent(share)})`);
  const bits = -Math.log2(probabilities[level]);
  return (
    `Likeliest: ${best.join(", then ")}. The picture has ${level}, ` +
    `given ${percent(probabilities[level])}: that costs ${number(bits, 2)} bits.`
  );
}
