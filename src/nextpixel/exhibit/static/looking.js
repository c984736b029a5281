/** The section Look inside: chances at a pixel, the pixels it sees, and what all of them cost. */

import { Bars } from "./bars.js";
import { Board } from "./board.js";
import { el } from "./dom.js";
import { bits, number, several } from "./format.js";
import { FIELD, paintCells, surpriseColor } from "./paint.js";
import { entropy, gray } from "./pictures.js";
import { Strip } from "./strip.js";

const TINT = 0.62; // of the field over the picture
const HELP = "look-help";
const LEGEND = {
  here: "this pixel",
  seen: "earlier, seen",
  far: "earlier, not seen",
  later: "later",
};

export class LookView {
  constructor(place, engine) {
    Object.assign(this, { engine, model: engine.model, asked: 0 });
    [, this.height, this.width] = this.model.shape;
    this.board = new Board("The picture to look into", HELP, {
      onmove: () => this.point(),
      onact: () => {},
      onend: () => {},
    });
    this.strip = new Strip(this.model, (cells, label) => this.setImage(cells, label));
    this.where = el("h3");
    this.bars = new Bars(this.model.levels);
    this.seen = el("p");
    this.cost = el("canvas", { class: "cost", role: "img" });
    this.costWords = el("figcaption");
    place.append(this.layout());
    this.strip.pick(5 % this.strip.images.length);
  }

  layout() {
    const help = "Point, tap, or use the arrow keys; with Shift five pixels at a time.";
    const left = el(
      "div",
      { class: "panel" },
      this.strip.node,
      this.board.node,
      legend(),
      el("p", { class: "hint", id: HELP }, help),
    );
    const heading = el("h3", {}, "What surprised it");
    const costs = el("figure", { class: "costs" }, heading, this.cost, this.costWords);
    const right = el("div", { class: "panel" }, this.where, this.bars.node, this.seen, costs);
    return el("div", { class: "sides" }, left, right);
  }

  /** Compute all chances once, and begin at a pixel where the net is unsure. */
  async setImage(cells, label) {
    const asked = (this.asked += 1);
    const read = await this.engine.read(cells, label);
    if (asked !== this.asked) return;
    const fresh = this.cells !== cells;
    Object.assign(this, { cells, read });
    this.showCosts();
    if (fresh) this.begin();
    else this.point();
  }

  begin() {
    const unsure = Array.from(this.cells, (_, cell) => entropy(this.chances(cell)));
    const cell = unsure.indexOf(Math.max(...unsure));
    Object.assign(this.board, { row: Math.floor(cell / this.width), column: cell % this.width });
    this.point();
  }

  chances(cell) {
    const { levels } = this.model;
    return this.read.probabilities.subarray(cell * levels, (cell + 1) * levels);
  }

  /** Show the pixel that the cursor is on. */
  async point() {
    if (!this.read) return;
    const { row, column } = this.board;
    const cell = row * this.width + column;
    this.where.textContent = `Row ${row + 1}, column ${column + 1}`;
    this.bars.show(this.chances(cell), this.cells[cell]);
    const field = await this.engine.field(row, column);
    if (row === this.board.row && column === this.board.column) this.showField(field, cell);
  }

  showField(field, here) {
    this.board.show(this.height, this.width, (row, column) => {
      const cell = row * this.width + column;
      const color = gray(this.cells[cell], this.model.levels);
      const over = FIELD[kindOf(cell, here, field)];
      return color.map((value, i) => value + TINT * (over[i] - value));
    });
    const seen = field.reduce((count, one) => count + one, 0);
    const all = several(here, "earlier pixel");
    this.seen.textContent = `It sees ${number(seen)} of ${all}, and none of the later ones.`;
  }

  showCosts() {
    const costs = Array.from(this.read.nats, (one) => one / Math.LN2);
    const most = Math.max(1, ...costs);
    paintCells(this.cost, this.height, this.width, (row, column) =>
      surpriseColor(costs[row * this.width + column], most),
    );
    const total = -this.read.total / Math.LN2;
    const plain = costs.length * Math.log2(this.model.levels);
    const words =
      `${bits(total)} for the whole picture, the darkest pixel ${number(most, 1)}. ` +
      `Without a model it takes ${number(plain)}.`;
    this.costWords.textContent = words;
    this.cost.setAttribute("aria-label", words);
  }
}

function kindOf(cell, here, field) {
  if (cell === here) return "here";
  if (cell > here) return "later";
  return field[cell] ? "seen" : "far";
}

function legend() {
  const entries = Object.entries(LEGEND).map(([kind, words]) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.backgroundColor = `rgb(${FIELD[kind].join(" ")})`;
    return el("li", {}, swatch, words);
  });
  return el("ul", { class: "legend" }, entries);
}
