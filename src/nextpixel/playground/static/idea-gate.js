/** The gate: tanh(f) x sigmoid(g) as f goes to and fro, beside a ReLU, which has no g. */

import { el, svg } from "./dom.js";
import { number, percent } from "./format.js";
import { figure, picture } from "./grid.js";
import { Slider } from "./knobs.js";

const [WIDEST, MOST] = [3, 6]; // of f and of g
const BOX = [-3.3, -3.3, 6.6, 4.7];
const [PACE, SWING] = [1.1, 0.45]; // of f and of g
const STILL = { f: 1.2, g: -1.5 };
const OTHERS = [-4, -2, -1, 0, 1, 2, 4]; // gates drawn faintly

export class Gate {
  name = "gate";
  title = "The gate";
  words = [
    "In place of a ReLU, a gated layer makes two maps f and g of the same input and gives " +
      "tanh(f) x sigmoid(g): one half says what, the other how much.",
    "It is the multiplication that recurrent networks have and plain convolutions lack: a ReLU " +
      "has no g, so nothing else can open or shut it.",
  ];

  constructor() {
    this.slider = new Slider(
      "g, how much",
      { min: -MOST, max: MOST, step: 0.1 },
      {
        oninput: () => this.hold(),
        words: (g) => `g = ${signed(g, 1)}`,
      },
    );
    this.control = this.slider.node;
    this.plots = [new Plot(OTHERS.map(gateOf)), new Plot([])];
    this.bars = ["tanh(f), what", "x sigmoid(g), how much", "= what comes out"].map(bar);
    Object.assign(this, STILL, { time: 0, swinging: true });
    this.pictures = this.draw();
  }

  draw() {
    const titles = ["Gated: tanh(f) x sigmoid(g)", "ReLU: f, or 0 below 0"];
    const plots = this.plots.map(({ node }, i) => {
      const label = `${titles[i]}, over f from -${WIDEST} to ${WIDEST}`;
      return figure(titles[i], picture(BOX, { "aria-label": label, class: "plot" }, node));
    });
    const rows = this.bars.flatMap(({ label, node, value }) => [label, node, value]);
    return [...plots, el("div", { class: "bars-of" }, rows)];
  }

  /** Keep the gate where the reader puts it; f goes on. */
  hold() {
    this.swinging = false;
    this.g = this.slider.value;
    this.ontouch({ still: false });
  }

  advance(seconds) {
    this.time += seconds;
    this.f = WIDEST * Math.sin(Math.asin(STILL.f / WIDEST) + PACE * this.time);
    if (this.swinging) this.g = 5 * Math.sin(Math.asin(STILL.g / 5) - SWING * this.time);
    return true;
  }

  paint() {
    this.slider.value = this.g;
    const gated = gateOf(this.g);
    this.plots[0].paint(gated, this.f);
    this.plots[1].paint((f) => Math.max(0, f), this.f);
    const values = [Math.tanh(this.f), sigmoid(this.g), gated(this.f)];
    this.bars.forEach(({ rect, value }, i) => {
      rect.setAttribute("x", Math.min(0, values[i]));
      rect.setAttribute("width", Math.abs(values[i]));
      value.textContent = signed(values[i], 2);
    });
  }

  get says() {
    const g = this.slider.value;
    return (
      `With g = ${signed(g, 1)} the gate is open to ${percent(sigmoid(g))}: whatever f is, what ` +
      `comes out is at most ${number(sigmoid(g), 2)}, of either sign. The ReLU stays as it is.`
    );
  }

  get state() {
    return { g: this.slider.value };
  }

  restore(query) {
    if (!query.has("g")) return false;
    this.slider.value = query.get("g");
    this.swinging = false;
    this.g = this.slider.value;
    return true;
  }
}

/** Curves over f, and a dot on the one that counts. */
class Plot {
  constructor(others) {
    const axes = svg("path", { class: "axes", d: `M-3.2 0H3.2M0 -3.2V1.3` });
    const faint = others.map((curve) => svg("path", { class: "faint", d: line(curve) }));
    this.curve = svg("path", { class: "curve" });
    this.stem = svg("path", { class: "stem" });
    this.dot = svg("circle", { class: "dot", r: 0.16 });
    const name = svg("text", { x: 3.05, y: 0.5 }, "f");
    this.node = svg("g", {}, axes, name, faint, this.stem, this.curve, this.dot);
  }

  paint(curve, f) {
    this.curve.setAttribute("d", line(curve));
    this.stem.setAttribute("d", `M${f} 0V${-curve(f)}`);
    this.dot.setAttribute("cx", f);
    this.dot.setAttribute("cy", -curve(f));
  }
}

function bar(words) {
  const rect = svg("rect", { y: 0, height: 1, class: "ours" });
  const axis = svg("path", { class: "axes", d: "M0 0V1" });
  const box = { viewBox: "-1 0 2 1", preserveAspectRatio: "none", "aria-hidden": "true" };
  const value = el("span", { class: "value" });
  return { label: el("span", {}, words), node: svg("svg", box, rect, axis), rect, value };
}

function line(curve) {
  const steps = Array.from({ length: 61 }, (_, i) => (i / 30 - 1) * WIDEST);
  return `M${steps.map((f) => `${f.toFixed(2)} ${(-curve(f)).toFixed(3)}`).join("L")}`;
}

function gateOf(g) {
  return (f) => Math.tanh(f) * sigmoid(g);
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/** A number with the sign of one that is shown as zero left out. */
function signed(value, digits) {
  return number(Number(value.toFixed(digits)) || 0, digits);
}
