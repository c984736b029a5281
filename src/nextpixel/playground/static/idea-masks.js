/** Masks A and B: a kernel under the pointer, and the colors of the pixel at its centre. */

import { el, svg } from "./dom.js";
import { Grid, figure, legend, picture } from "./grid.js";
import { Choice } from "./knobs.js";
import { maskedTaps } from "./stacks.js";

const [ROWS, COLUMNS, SIDE] = [9, 11, 5];
const PACE = 4; // pixels a second
const COLORS = ["R", "G", "B"];
const HELP = "Point at a pixel, or move with the arrow keys.";
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const LEGEND = [
  ["tap", "is read"],
  ["shut", "in the kernel, and masked"],
  ["past", "other earlier pixels"],
  ["later", "later pixels"],
];

export class Masks {
  name = "masks";
  title = "Masks A and B";
  words = [
    "A masked kernel looks at the past only: its taps after the centre are zero.",
    "The centre itself is read only with mask B, in later layers, where it holds what the layers " +
      "before have gathered about the past; with mask A, in the first layer, it would be the " +
      "very pixel that is to be predicted.",
  ];

  constructor() {
    this.choice = new Choice(
      "Mask",
      [
        ["A", "Mask A"],
        ["B", "Mask B"],
      ],
      () => this.ontouch(),
    );
    this.choice.value = "A";
    this.control = this.choice.node;
    this.grid = new Grid(ROWS, COLUMNS, ["past", "later", "tap", "shut", "cross", "frame"]);
    this.place = ROWS * COLUMNS * 0.5;
    this.edges = allEdges();
    this.pictures = this.draw();
  }

  draw() {
    const surface = picture(
      [-0.1, -0.1, COLUMNS + 0.12, ROWS + 0.12],
      {
        class: "surface",
        tabindex: 0,
        role: "application",
        "aria-roledescription": "pixel grid",
        "aria-label": `A kernel of ${SIDE} x ${SIDE} over an image. ${HELP}`,
        pointermove: (event) => this.hover(this.grid.cell(event)),
        pointerleave: () => this.hover(null),
        pointerdown: () => this.ontouch(),
        keydown: (event) => this.press(event),
      },
      this.grid.node,
    );
    const label = "Arrows from the colors that are read at the centre to the colors they inform";
    const colors = picture(
      [0, 0, 6, 4.4],
      { "aria-label": label },
      this.edges.map(lineOf),
      nodes(),
    );
    const help = el("p", { class: "hint" }, HELP);
    const from = el("p", { class: "hint" }, "From what is read, above, to what may see it, below.");
    return [
      figure("Taps of a 5x5 kernel", el("div", {}, surface, help), { class: "main" }),
      figure("Colors at its centre", el("div", {}, colors, from), { class: "aside" }),
      legend(LEGEND),
    ];
  }

  get row() {
    return Math.floor(this.place / COLUMNS);
  }

  get column() {
    return Math.floor(this.place) % COLUMNS;
  }

  get seesSelf() {
    return this.choice.value === "B";
  }

  advance(seconds) {
    if (this.held) return false;
    const before = Math.floor(this.place);
    this.place = (this.place + PACE * seconds) % (ROWS * COLUMNS);
    return Math.floor(this.place) !== before;
  }

  /** Stay under the pointer while it is there. */
  hover(cell) {
    this.held = cell !== null;
    if (cell) this.moveTo(cell, { still: false });
  }

  moveTo([row, column], how) {
    const place = row * COLUMNS + column;
    if (place === Math.floor(this.place)) return;
    this.place = place;
    this.ontouch(how);
  }

  press(event) {
    if (!(event.key in MOVES)) return;
    const [down, right] = MOVES[event.key];
    event.preventDefault();
    this.moveTo(this.grid.nearest(this.row + down, this.column + right));
  }

  paint() {
    const open = new Set(maskedTaps(SIDE, this.seesSelf).map(String));
    this.grid.paint((row, column) => this.kinds(row - this.row, column - this.column, open));
    for (const { node, from, to } of this.edges) node.classList.toggle("open", this.sees(to, from));
  }

  kinds(down, right, open) {
    const frame = down || right ? [] : ["frame"];
    if (open.has(String([down, right]))) return ["tap", ...frame];
    const reach = (SIDE - 1) / 2;
    if (Math.abs(down) <= reach && Math.abs(right) <= reach) return ["shut", "cross", ...frame];
    return [down < 0 || (down === 0 && right < 0) ? "past" : "later"];
  }

  /** Whether the features of a color may read another one's at the centre. */
  sees(color, other) {
    return other < color || (other === color && this.seesSelf);
  }

  get says() {
    const inside = ([down, right]) =>
      String(this.grid.nearest(this.row + down, this.column + right)) ===
      String([this.row + down, this.column + right]);
    const read = maskedTaps(SIDE, false).filter(inside).length;
    const pixels = `${read} earlier ${read === 1 ? "pixel" : "pixels"}`;
    const itself = this.seesSelf ? "its own place" : "not itself";
    const colors = COLORS.map((color, i) => `${color} sees ${this.seenBy(i)}`);
    return (
      `Mask ${this.choice.value} at row ${this.row + 1}, column ${this.column + 1}: the kernel ` +
      `reads ${pixels} and ${itself}. At the centre, ${colors.join("; ")}.`
    );
  }

  seenBy(color) {
    const seen = COLORS.filter((_, other) => this.sees(color, other));
    return seen.length ? seen.join(", ") : "none of this pixel";
  }

  get state() {
    return { mask: this.choice.value };
  }

  restore(query) {
    this.choice.value = query.get("mask");
    return query.has("mask");
  }
}

function allEdges() {
  const numbers = COLORS.map((_, i) => i);
  return numbers.flatMap((from) =>
    numbers.filter((to) => to >= from).map((to) => ({ from, to, node: svg("path") })),
  );
}

function lineOf({ from, to, node }) {
  node.setAttribute("class", `edge color-${COLORS[from]}`);
  node.setAttribute("d", `M${1 + 2 * from} 1.3L${1 + 2 * to} 3.1`);
  return node;
}

/** The colors that are read, above, and those that are informed, below. */
function nodes() {
  return [0.8, 3.6].flatMap((y) =>
    COLORS.flatMap((color, i) => [
      svg("circle", { cx: 1 + 2 * i, cy: y, r: 0.5, class: `node color-${color}` }),
      svg("text", { x: 1 + 2 * i, y: y + 0.2 }, color),
    ]),
  );
}
