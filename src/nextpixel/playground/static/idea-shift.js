/** Two stacks and the shift: what the vertical stack tells the horizontal one, row by row. */

import { el, svg } from "./dom.js";
import { several } from "./format.js";
import { Grid, figure, legend, picture } from "./grid.js";
import { Choice } from "./knobs.js";
import { count, fieldOfTwo, fieldOfVertical, union } from "./stacks.js";

const SIZE = { height: 8, width: 9 };
const [ROW, STILL, LAYERS, SIDE] = [5, 4, 3, 3];
const PACE = 1.6; // pixels a second
const GAP = 3; // columns between the stacks
const KINDS = ["later", "past", "given", "left", "leak", "cross", "frame"];
const LEGEND = [
  ["given", "rows above, from the vertical stack"],
  ["left", "its own row, to the left"],
  ["leak", "must not be known"],
];

export class Shift {
  name = "shift";
  title = "Two stacks and the shift";
  words = [
    "The vertical stack sees whole rows, and tells the horizontal stack, which itself sees its " +
      "own row to the left only; nothing goes the other way.",
    "What the vertical stack holds for a row is shown to that row, so its first layer is moved " +
      "down by one row: without this shift it would show the row itself.",
  ];

  constructor() {
    const states = [
      ["on", "With the shift"],
      ["off", "Without"],
    ];
    this.choice = new Choice("First vertical layer", states, () => this.ontouch());
    this.choice.value = "on";
    this.control = this.choice.node;
    this.place = STILL;
    this.grids = [0, SIZE.width + GAP].map((x) => new Grid(SIZE.height, SIZE.width, KINDS, [x, 0]));
    this.arrow = svg("path", { class: "arrow" });
    this.pictures = this.draw();
  }

  draw() {
    const box = [-0.2, -0.1, 2 * SIZE.width + GAP + 0.4, SIZE.height + 0.2];
    const label = "What the vertical stack holds at a place, given to the horizontal stack there";
    const nodes = [...this.grids.map(({ node }) => node), this.arrow];
    const titles = ["The vertical stack holds", "The horizontal stack holds"];
    const heads = titles.map((title) => el("span", {}, title));
    return [
      figure(heads, picture(box, { "aria-label": label }, nodes), { class: "wide two" }),
      legend(LEGEND),
    ];
  }

  get column() {
    return Math.floor(this.place);
  }

  get shift() {
    return this.choice.value === "on";
  }

  advance(seconds) {
    const before = this.column;
    this.place = (this.place + PACE * seconds) % SIZE.width;
    return this.column !== before;
  }

  paint() {
    const net = [SIZE, [ROW, this.column], LAYERS, SIDE, this.shift];
    const held = fieldOfVertical(...net);
    this.field = fieldOfTwo(...net);
    this.grids[0].paint((...pixel) => this.kinds(pixel, held, []));
    this.grids[1].paint((...pixel) => this.kinds(pixel, this.field.given, this.field.left));
    const [from, to] = [this.column + 0.5, this.column + 0.5 + SIZE.width + GAP];
    const middle = (from + to) / 2;
    this.arrow.setAttribute("d", `M${from} ${ROW}Q${middle} ${ROW - 8.5} ${to - 0.2} ${ROW - 0.1}`);
    this.arrow.classList.toggle("wrong", !this.shift);
  }

  /** A pixel that a place holds: as given, as seen to the left, or what it must not. */
  kinds([row, column], given, left) {
    const i = row * SIZE.width + column;
    const frame = i === this.own ? ["frame"] : [];
    if (given[i] && i >= this.own) return ["leak", "cross", ...frame];
    if (left[i]) return ["left"];
    if (given[i]) return ["given"];
    return [i < this.own ? "past" : "later", ...frame];
  }

  /** The number of the pixel that is to be predicted. */
  get own() {
    return ROW * SIZE.width + this.column;
  }

  get says() {
    const known = union(this.field.left, this.field.given);
    const earlier = count(known, (i) => i < this.own);
    const right = count(known, (i) => i > this.own);
    const start = `Column ${this.column + 1}: the pixel's own set holds ${earlier} of ${this.own} `;
    if (!known[this.own]) return `${start}earlier pixels, no later one, and not the pixel itself.`;
    return (
      `${start}earlier pixels, and ${1 + right} that it must not know: itself` +
      `${right ? ` and ${several(right, "later pixel")}` : ""}. A leak: the loss looks splendid, ` +
      "and the model is worthless."
    );
  }

  get state() {
    return { shift: this.choice.value };
  }

  restore(query) {
    this.choice.value = query.get("shift");
    return query.has("shift");
  }
}
