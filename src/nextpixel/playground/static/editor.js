/** An editor of one image and of which of its pixels are known. Tools say what a stroke does. */

import { Board } from "./board.js";
import { el, freshId } from "./dom.js";
import { colorOf, UNKNOWN } from "./paint.js";
import { Tools } from "./tools.js";

const HELP =
  "Arrow keys move the cursor (with Shift by five), Home and End go to the sides, " +
  "the space bar uses the tool, and undoes it on a second press.";

export class Editor {
  /**
   * @param {string} label what the picture is for
   * @param {string[]} tools as in `Tools`
   * @param {Object} listeners
   * @param {function(number, number)} listeners.onpoint the row and column now pointed at
   * @param {function()} listeners.onchange the image or what is known of it has changed
   * @param {function(number, number)} listeners.onuse a pixel is pressed to inspect it
   */
  constructor(label, tools, { onpoint, onchange, onuse } = {}) {
    const none = () => {};
    this.onpoint = onpoint ?? none;
    this.onchange = onchange ?? none;
    this.onuse = onuse ?? none;
    this.tint = (row, column, color) => color;
    this.tools = new Tools(tools, () => this.paint());
    this.help = el("p", { class: "hint", id: freshId("help") }, HELP);
    this.place = el("p", { class: "status", role: "status" });
    this.board = new Board(label, this.help.id, {
      onmove: (row, column) => this.moved(row, column),
      onact: (row, column, { key }) => this.act(row, column, key),
      onend: () => this.ended(),
    });
    const parts = [this.board.node, this.place, this.help, this.tools.node];
    this.node = el("div", { class: "editor" }, parts);
  }

  /** Put an image on it, all of it known; from JSON shape (C, H, W), here one of `Images`. */
  setImage(images) {
    this.images = images;
    this.known = new Uint8Array(images.height * images.width).fill(1);
    this.paint();
  }

  setModel(model) {
    this.tools.setModel(model);
  }

  /** Point at a pixel. */
  point(row, column) {
    this.board.move(row, column);
  }

  get row() {
    return this.board.row;
  }

  get column() {
    return this.board.column;
  }

  /** How many pixels are erased. */
  get erased() {
    return this.known.filter((known) => !known).length;
  }

  /** Make each pixel known or not by `isKnown(row, column)`. */
  setKnown(isKnown) {
    const { width } = this.images;
    this.known = this.known.map((_, i) => (isKnown(Math.floor(i / width), i % width) ? 1 : 0));
    this.ended();
    this.paint();
  }

  paint() {
    const { images, known } = this;
    this.board.brush = this.tools.brush;
    const colorAt = (row, column) =>
      known[row * images.width + column] ? colorOf(images, 0, row, column) : UNKNOWN;
    this.board.show(images.height, images.width, (row, column) =>
      this.tint(row, column, colorAt(row, column)),
    );
  }

  moved(row, column) {
    this.say(row, column);
    this.onpoint(row, column);
  }

  say(row, column) {
    const place = `Row ${row + 1}, column ${column + 1}`;
    if (!this.known[row * this.images.width + column]) {
      this.place.textContent = `${place}: erased.`;
      return;
    }
    const colors = Array.from({ length: this.images.colors }, (_, color) => color);
    const levels = colors.map((color) => this.images.at(0, color, row, column));
    const word = levels.length === 1 ? "level" : "levels";
    this.place.textContent = `${place}: ${word} ${levels.join(", ")}.`;
  }

  /** Use the tool; by key, use it or undo it by what is at the cursor. */
  act(row, column, toggles) {
    const { tool } = this.tools;
    if (tool === "inspect") {
      this.onuse(row, column);
      return;
    }
    const here = row * this.images.width + column;
    const known = { erase: toggles ? !this.known[here] : false, restore: true, draw: true }[tool];
    const ink = tool === "draw" ? this.ink(row, column, toggles) : null;
    for (const [r, c] of this.brushed(row, column)) this.touch(r, c, known, ink);
    this.paint();
    this.say(row, column);
  }

  ink(row, column, toggles) {
    const { ink } = this.tools;
    const same = ink.every((level, color) => this.images.at(0, color, row, column) === level);
    return toggles && same ? ink.map(() => 0) : ink;
  }

  touch(row, column, known, ink) {
    this.known[row * this.images.width + column] = known ? 1 : 0;
    ink?.forEach((level, color) => this.images.set(0, color, row, column, level));
  }

  brushed(row, column) {
    const side = this.tools.brush;
    const before = Math.floor((side - 1) / 2);
    const cells = Array.from({ length: side * side }, (_, i) => [
      row - before + Math.floor(i / side),
      column - before + (i % side),
    ]);
    return cells.filter(
      ([r, c]) => r >= 0 && c >= 0 && r < this.images.height && c < this.images.width,
    );
  }

  ended() {
    if (this.tools.tool !== "inspect") this.onchange();
  }
}
