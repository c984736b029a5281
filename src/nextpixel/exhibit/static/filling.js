/** The section Complete: a picture, a brush that erases, and several ways to go on. */

import { Board } from "./board.js";
import { button, el } from "./dom.js";
import { nats, several } from "./format.js";
import { UNKNOWN, paintCells } from "./paint.js";
import { gray } from "./pictures.js";
import { uniformsOf } from "./random.js";
import { Strip } from "./strip.js";

const WAYS = 8;
const BRUSH = 5;
const TINT = 0.3; // of what is filled in
const HELP = "fill-help";

export class FillView {
  constructor(place, engine) {
    Object.assign(this, { engine, model: engine.model, seed: 1, asked: 0 });
    [, this.height, this.width] = this.model.shape;
    this.board = new Board("The picture to complete", HELP, {
      onmove: () => {},
      onact: (row, column) => this.erase(row, column),
      onend: () => this.complete(),
    });
    this.board.brush = BRUSH;
    this.strip = new Strip(this.model, (cells, label) => this.setImage(cells, label));
    this.status = el("p", { class: "status", role: "status" });
    this.tiles = Array.from({ length: WAYS }, () => tile());
    place.append(this.layout());
    this.strip.pick(3 % this.strip.images.length);
  }

  layout() {
    const halves = [
      ["top", (row) => row < this.height / 2],
      ["bottom", (row) => row >= this.height / 2],
      ["left", (_, column) => column < this.width / 2],
      ["right", (_, column) => column >= this.width / 2],
    ].map(([side, inside]) => {
      const words = { "aria-label": `Erase the ${side}` };
      return button(side, () => this.eraseWhere(inside), words);
    });
    const back = button("Put all back", () => this.eraseWhere(() => false));
    const hint =
      "Drag over the picture to erase. By keyboard: arrows move, the space bar erases. Filled " +
      "pixels are tinted blue; below stand their nats: how unlikely the net holds them, " +
      "given those before them.";
    const left = el(
      "div",
      { class: "panel" },
      this.strip.node,
      this.board.node,
      el("div", { class: "run" }, el("span", {}, "Erase the"), halves, back),
      el("p", { class: "hint", id: HELP }, hint),
    );
    this.more = button("Fill it again", () => this.again(), { class: "main" });
    const ways = el(
      "div",
      { class: "ways" },
      this.tiles.map(({ node }) => node),
    );
    const right = el("div", { class: "panel" }, this.status, ways, el("div", {}, this.more));
    return el("div", { class: "sides" }, left, right);
  }

  /** Begin with the bottom erased, or with what was erased before. */
  setImage(cells, label) {
    this.label = label;
    this.cells = cells;
    this.known ??= this.knownWhere((row) => row >= this.height / 2);
    this.refresh();
    this.complete();
  }

  knownWhere(isErased) {
    return Uint8Array.from(this.cells, (_, cell) =>
      isErased(Math.floor(cell / this.width), cell % this.width) ? 0 : 1,
    );
  }

  eraseWhere(isErased) {
    this.known = this.knownWhere(isErased);
    this.refresh();
    this.complete();
  }

  erase(row, column) {
    const reach = Math.floor(BRUSH / 2);
    for (let r = Math.max(0, row - reach); r <= Math.min(this.height - 1, row + reach); r += 1) {
      const [left, right] = [Math.max(0, column - reach), Math.min(this.width - 1, column + reach)];
      this.known.fill(0, r * this.width + left, r * this.width + right + 1);
    }
    this.refresh();
  }

  refresh() {
    this.board.show(this.height, this.width, (row, column) => {
      const cell = row * this.width + column;
      return this.known[cell] ? gray(this.cells[cell], this.model.levels) : UNKNOWN;
    });
  }

  again() {
    this.seed += WAYS;
    this.complete();
  }

  /** Fill what is missing, one way after the other, until something else is asked for. */
  async complete() {
    const asked = (this.asked += 1);
    const { cells: levels, label } = this;
    const known = this.known.slice();
    const missing = known.reduce((count, one) => count + (one ? 0 : 1), 0);
    this.more.disabled = !missing;
    this.status.textContent = missing
      ? `${several(missing, "pixel")} missing, filled in ${WAYS} ways the net holds possible.`
      : "Nothing is missing: erase something.";
    for (const [n, place] of this.tiles.entries()) {
      const uniforms = uniformsOf(this.seed + n, levels.length);
      const made = await this.engine.fill({ levels, known, uniforms, label });
      if (asked !== this.asked) return;
      this.show(place, made, known);
    }
  }

  show({ canvas, words }, { levels, nats: costs }, known) {
    const cost = costs.reduce((total, one, cell) => total + (known[cell] ? 0 : one), 0);
    paintCells(canvas, this.height, this.width, (row, column) => {
      const cell = row * this.width + column;
      const color = gray(levels[cell], this.model.levels);
      return known[cell] ? color : color.map((value, i) => value + TINT * (UNKNOWN[i] - value));
    });
    words.textContent = nats(cost);
    canvas.setAttribute("aria-label", `A completion, ${nats(cost)}`);
  }
}

function tile() {
  const canvas = el("canvas", { role: "img", "aria-label": "A completion to come" });
  const words = el("figcaption", {}, "…");
  return { canvas, words, node: el("figure", {}, canvas, words) };
}
