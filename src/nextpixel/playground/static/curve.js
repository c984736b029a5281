/** The curve of a training: nats of an image against seconds of work; earlier ones stay, faint. */

import { el, refill, svg } from "./dom.js";
import { nats, number } from "./format.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [460, 270, 44, 12, 14, 34];
const LEAST = 25;
const LEVELS = [30, 40, 50, 70, 100];

export class Curve {
  /** @param {{most: number, seconds: number}} range nats of coin flips, and how long it may take */
  constructor({ most, seconds }) {
    Object.assign(this, { most, seconds });
    this.picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    this.key = el("ul", { class: "legend" });
    this.node = el("figure", { class: "curve" }, this.picture, this.key);
    this.draw([]);
  }

  /**
   * @param {Array<{name: string, points: Array<{seconds, train, heldOut}>}>} runs the last is the
   *   one that goes on
   */
  draw(runs) {
    const now = runs.at(-1);
    const reached = Math.max(0, ...runs.flatMap(({ points }) => points.map((at) => at.seconds)));
    this.end = [10, 20, 30].find((end) => end >= reached) ?? Math.max(this.seconds, reached);
    const earlier = runs.slice(0, -1).map(({ points }) => this.line(points, "heldOut", "earlier"));
    const lines = now
      ? [this.line(now.points, "train", "train"), this.line(now.points, "heldOut", "held")]
      : [];
    refill(this.picture, this.axes(), earlier, lines, now ? this.dot(now.points.at(-1)) : []);
    this.describe(runs, now);
  }

  axes() {
    const marks = [...LEVELS, this.most].map((level) => this.level(level));
    const times = [0, 1, 2, 3, 4, 5].map((part) => this.time((part * this.end) / 5));
    return [...marks, ...times, text(WIDTH - RIGHT, TOP + 17, "end", "coin flips")];
  }

  level(level) {
    const y = this.y(level);
    const kind = level === this.most ? "grid coin" : "grid";
    const line = svg("line", { class: kind, x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y });
    return svg("g", {}, line, text(LEFT - 6, y + 5, "end", number(level)));
  }

  time(seconds) {
    const unit = seconds ? "" : " s";
    const side = seconds === this.end ? "end" : "middle";
    return text(this.x(seconds), HEIGHT - 12, side, `${number(seconds)}${unit}`);
  }

  line(points, what, kind) {
    const known = points.filter((at) => at[what] !== null);
    const path = known.map((at) => `${round(this.x(at.seconds))},${round(this.y(at[what]))}`);
    return svg("polyline", { class: kind, points: path.join(" ") });
  }

  dot(at) {
    if (!at) return [];
    return svg("circle", { class: "dot", cx: this.x(at.seconds), cy: this.y(at.heldOut), r: 5 });
  }

  x(seconds) {
    return LEFT + ((WIDTH - LEFT - RIGHT) * seconds) / this.end;
  }

  /** Nats are spread by their logarithm, so that the slow gains at the end are seen too. */
  y(level) {
    const share = Math.log(Math.max(level, LEAST) / LEAST) / Math.log(this.most / LEAST);
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * Math.min(1, share);
  }

  /** What the lines are, and where they have come to. */
  describe(runs, now) {
    const at = now?.points.at(-1);
    const said = (value) => (at && value !== null ? `: ${nats(value)}` : "");
    const rows = [
      ["held", `digits it has never seen${said(at?.heldOut)}`],
      ["train", `digits it learns from${said(at?.train)}`],
      ...runs.slice(0, -1).map(({ name, points }) => ["earlier", ended(name, points.at(-1))]),
    ];
    refill(
      this.key,
      rows.map(([kind, words]) => el("li", {}, swatch(kind), words)),
    );
    const words = at ? `${nats(at.heldOut)} after ${number(at.seconds, 1)} s` : "nothing yet";
    this.picture.setAttribute("aria-label", `Surprise by digits it has never seen: ${words}.`);
  }
}

function ended(name, { heldOut, seconds }) {
  return `before: ${name}, ${nats(heldOut)} after ${number(seconds)} s`;
}

function swatch(kind) {
  const line = svg("line", { class: kind, x1: 0, x2: 24, y1: 6, y2: 6 });
  return svg("svg", { class: "key", viewBox: "0 0 24 12", "aria-hidden": "true" }, line);
}

function text(x, y, anchor, words) {
  return svg("text", { x, y, "text-anchor": anchor }, words);
}

function round(value) {
  return value.toFixed(1);
}
