/** The blind spot: the fields of one stack and of two, as layers are added. */

import { Grid, figure, legend, picture } from "./grid.js";
import { Choice, Slider } from "./knobs.js";
import { count, fieldOfOne, fieldOfTwo, union } from "./stacks.js";

const SIZE = { height: 28, width: 28 };
const PIXEL = [14, 14];
const EARLIER = PIXEL[0] * SIZE.width + PIXEL[1];
const [MOST, STILL] = [15, 7];
const [PACE, REST] = [0.8, 3]; // seconds a layer, and with the last
const KINDS = ["later", "far", "blind", "seen", "new", "here"];
const LEGEND = [
  ["here", "this pixel"],
  ["seen", "seen"],
  ["new", "seen since the last layer"],
  ["blind", "blind spot"],
  ["far", "earlier, out of reach"],
  ["later", "later: never seen"],
];

export class BlindSpot {
  name = "blind-spot";
  title = "The blind spot";
  words = [
    "Each masked layer lets a pixel see one kernel further, but to the right it can only climb " +
      "along a diagonal, since a kernel sees nothing to the right in its own row.",
    "What lies above that diagonal is past, is near, and is never seen by one stack, however " +
      "many layers there are; two stacks have no blind spot.",
  ];

  constructor() {
    this.slider = new Slider(
      "Layers",
      { min: 1, max: MOST, step: 1 },
      {
        oninput: () => this.ontouch(),
        words: String,
      },
    );
    const sides = ["3", "5", "7"].map((side) => [side, `${side}x${side}`]);
    this.choice = new Choice("Kernel", sides, () => this.ontouch());
    this.slider.value = STILL;
    this.choice.value = "3";
    this.control = [this.slider.node, this.choice.node];
    this.waited = 0;
    this.grids = [0, 1].map(() => new Grid(SIZE.height, SIZE.width, KINDS));
    this.pictures = this.draw();
  }

  draw() {
    const titles = ["One masked stack", "Two stacks"];
    const box = [-0.1, -0.1, SIZE.width + 0.12, SIZE.height + 0.12];
    const figures = titles.map((title, i) => {
      const label = `${title}: the pixels that the framed one sees`;
      return figure(title, picture(box, { "aria-label": label }, this.grids[i].node));
    });
    return [...figures, legend(LEGEND)];
  }

  get layers() {
    return this.slider.value;
  }

  get side() {
    return Number(this.choice.value);
  }

  begin() {
    this.slider.value = 1;
  }

  advance(seconds) {
    this.waited += seconds;
    if (this.waited < (this.layers === MOST ? REST : PACE)) return false;
    this.waited = 0;
    this.slider.value = (this.layers % MOST) + 1;
    return true;
  }

  paint() {
    this.slider.value = this.layers;
    this.fields = [one, two].map((field) => field(this.layers, this.side));
    [one, two].forEach((field, i) => {
      const before = this.layers > 1 ? field(this.layers - 1, this.side) : this.fields[i];
      this.grids[i].paint((...pixel) => [this.kind(pixel, this.fields[i], before)]);
    });
  }

  kind([row, column], seen, before) {
    const i = row * SIZE.width + column;
    if (i === EARLIER) return "here";
    if (i > EARLIER) return "later";
    if (seen[i]) return before[i] ? "seen" : "new";
    return this.isNear(i) ? "blind" : "far";
  }

  /** Whether a pixel is no further than the kernels reach, layer by layer. */
  isNear(i) {
    const reach = (this.layers * (this.side - 1)) / 2;
    const rows = Math.abs(Math.floor(i / SIZE.width) - PIXEL[0]);
    return rows <= reach && Math.abs((i % SIZE.width) - PIXEL[1]) <= reach;
  }

  get says() {
    const [ones, twos] = this.fields.map((seen) => {
      const blind = count(
        seen.map((has) => 1 - has),
        (i) => i < EARLIER && this.isNear(i),
      );
      return [count(seen), blind || "none"];
    });
    const layers = `${this.layers} ${this.layers === 1 ? "layer" : "layers"}`;
    return (
      `With ${layers} of ${this.side}x${this.side}, one stack sees ${ones[0]} of ${EARLIER} ` +
      `earlier pixels; it is blind to ${ones[1]} within its reach. Two stacks see ${twos[0]}, ` +
      `and are blind to ${twos[1]}.`
    );
  }

  get state() {
    return { layers: this.layers, kernel: this.side };
  }

  restore(query) {
    if (query.has("layers")) this.slider.value = query.get("layers");
    this.choice.value = query.get("kernel");
    return query.has("layers") || query.has("kernel");
  }
}

function one(layers, side) {
  return fieldOfOne(SIZE, PIXEL, layers, side);
}

function two(layers, side) {
  const { left, given } = fieldOfTwo(SIZE, PIXEL, layers, side);
  return union(left, given);
}
