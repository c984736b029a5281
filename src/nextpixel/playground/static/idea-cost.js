/** What a sample costs: the obvious program and the step engine, after the same work. */

import { el } from "./dom.js";
import { number } from "./format.js";
import { Grid, figure, legend, picture } from "./grid.js";
import { Slider } from "./knobs.js";

const SIDE = 28;
const PLACES = SIDE * SIDE; // of an image: one pass; and as many passes as pixels
const PACE = 5.5; // hundredths of the slider a second
const REST = 4; // seconds at the end
const QUICK = PLACES / 4; // places a frame, from which on a pass is shown as a whole
const KINDS = ["unknown", "black", "white", "busy"];
const LEGEND = [
  ["busy", "being computed"],
  ["unknown", "not drawn yet"],
];

/** `nextpixel sample mnist2-gated --seed 4`: a row of 28 levels is seven hexadecimal digits. */
const DIGIT =
  "0000000 0000000 0000000 0000000 0000000 001f000 007f000 00ff000 00ff000 00fb000 0063000 " +
  "0007000 0007000 0007000 0006000 000e000 000f0c0 001ffc0 003fe00 007f000 007c000 0070000 " +
  "0060000 0000000 0000000 0000000 0000000 0000000";
const LEVELS = DIGIT.split(" ").map((row) => parseInt(row, 16));

export class Cost {
  name = "cost";
  title = "What a sample costs";
  words = [
    "A pixel must be drawn before the next one can be predicted, so the obvious program runs the " +
      "whole network once a pixel: 784 passes for 28x28.",
    "Hidden values of the past do not change any more, so the step engine computes each once and " +
      "keeps it: an image costs about the arithmetic of one pass.",
  ];

  constructor() {
    this.slider = new Slider(
      "Work done by each",
      { min: 0, max: 100, step: "any" },
      {
        oninput: () => this.scrub(),
        words: (at) => `${number(workAt(at))} places`,
      },
    );
    const ticks = ["1 place", "1 pass", "784 passes"].map((words) => el("span", {}, words));
    this.control = el("div", {}, this.slider.node, el("div", { class: "axis" }, ticks));
    Object.assign(this, { at: 50, waited: 0, jump: 0 });
    this.programs = [naiveDrawn, engineDrawn].map((drawn) => new Program(drawn));
    this.pictures = this.draw();
  }

  draw() {
    const titles = ["The obvious program", "The step engine"];
    const figures = titles.map((title, i) => {
      const { grid, counter } = this.programs[i];
      const box = [-0.1, -0.1, SIDE + 0.12, SIDE + 0.12];
      const label = `${title}: the pixels drawn so far, and those being computed`;
      return figure([title, counter], picture(box, { "aria-label": label }, grid.node));
    });
    return [...figures, legend(LEGEND)];
  }

  get work() {
    return workAt(this.at);
  }

  scrub() {
    Object.assign(this, { at: this.slider.value, waited: 0, jump: 0 });
    this.ontouch();
  }

  begin() {
    this.at = 0;
  }

  advance(seconds) {
    if (this.at === 100) return this.rest(seconds);
    const before = this.work;
    this.at = Math.min(100, this.at + PACE * seconds);
    this.jump = this.work - before;
    return this.jump > 0;
  }

  rest(seconds) {
    this.waited += seconds;
    if (this.waited < REST) return false;
    Object.assign(this, { at: 0, waited: 0, jump: 0 });
    return true;
  }

  paint() {
    this.slider.value = this.at;
    const pass = this.jump > QUICK ? PLACES : this.work % PLACES || (this.jump ? 0 : PLACES);
    this.programs[0].paint(this.work, (cell) => cell < pass);
    this.programs[1].paint(this.work, (cell) => cell === this.work - 1);
  }

  get says() {
    const [naive, engine] = this.programs.map(({ drawn }) => number(drawn(this.work)));
    const places = `${number(this.work)} ${this.work === 1 ? "place" : "places"}`;
    return (
      `With ${places} of the network computed, the obvious program has drawn ${naive} of ` +
      `${PLACES} pixels, and the engine ${engine}.`
    );
  }

  get state() {
    return { work: this.work };
  }

  restore(query) {
    const work = Number(query.get("work"));
    if (!(work >= 1)) return false;
    Object.assign(this, { at: Math.min(100, (50 * Math.log(work)) / Math.log(PLACES)), jump: 0 });
    return true;
  }
}

/** A program that draws the digit. */
class Program {
  constructor(drawn) {
    this.drawn = drawn;
    this.counter = el("span", { class: "counter" });
    this.grid = new Grid(SIDE, SIDE, KINDS);
  }

  /** Show the pixels drawn after some work, and the places that are being computed. */
  paint(work, isBusy) {
    const drawn = this.drawn(work);
    const ended = drawn === PLACES;
    this.counter.textContent = `${number(drawn)} of ${PLACES} pixels`;
    this.grid.paint((row, column) => {
      const cell = row * SIDE + column;
      const kind = cell < drawn ? levelAt(row, column) : "unknown";
      return isBusy(cell) && !ended ? [kind, "busy"] : [kind];
    });
  }
}

/** Pixels drawn by one pass each. */
function naiveDrawn(work) {
  return Math.floor(work / PLACES);
}

/** Pixels drawn by one place each. */
function engineDrawn(work) {
  return Math.min(PLACES, work);
}

/** Places computed, from one to 784 passes, by equal factors. */
function workAt(at) {
  return Math.round(PLACES ** (at / 50));
}

function levelAt(row, column) {
  return (LEVELS[row] >> (SIDE - 1 - column)) & 1 ? "white" : "black";
}
