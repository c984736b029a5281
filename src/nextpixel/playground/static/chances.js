/** How likely each level is at one pixel, as bars, a chart a color; the level it has is marked. */

import { el, refill, svg } from "./dom.js";
import { number, percent } from "./format.js";

const NAMES = { 1: [""], 3: ["Red", "Green", "Blue"] };
const LEAST = 0.006; // of the height: what is almost nothing is still a line

export class Chances {
  constructor() {
    this.charts = [];
    this.node = el("div", { class: "charts" });
  }

  /**
   * @param {Float32Array[]} probabilities of the levels, one a color
   * @param {number[]} levels that the pixel has, one a color
   */
  show(probabilities, levels) {
    if (this.charts.length !== levels.length || this.count !== probabilities[0].length) {
      this.begin(levels.length, probabilities[0].length);
    }
    this.charts.forEach((chart, color) => chart.show(probabilities[color], levels[color]));
  }

  begin(colors, count) {
    const names = NAMES[colors] ?? Array.from({ length: colors }, (_, n) => `Color ${n + 1}`);
    this.count = count;
    this.charts = names.map((name) => new Chart(name, count));
    refill(
      this.node,
      this.charts.map((chart) => chart.node),
    );
  }
}

class Chart {
  constructor(name, count) {
    Object.assign(this, { name, count });
    this.bars = svg("path", { class: "bar" });
    this.actual = svg("path", { class: "actual" });
    const view = { viewBox: `0 0 ${count} 1`, preserveAspectRatio: "none", "aria-hidden": "true" };
    const picture = svg("svg", { class: "bars", ...view }, this.bars, this.actual);
    const ends = namesOf(count).map((words) => el("span", {}, words));
    const axis = el("div", { class: count > 4 ? "axis" : "axis each" }, ends);
    this.words = el("figcaption");
    this.node = el("figure", {}, picture, axis, this.words);
  }

  show(shares, level) {
    const bars = Array.from(shares, (share, at) => bar(at, share));
    this.actual.setAttribute("d", bars.splice(level, 1)[0]);
    this.bars.setAttribute("d", bars.join(""));
    const cost = number(Math.abs(Math.log2(shares[level])), 2);
    const name = this.count > 4 ? `level ${level}` : namesOf(this.count)[level];
    const color = this.name && `${this.name}: `;
    this.words.textContent = `${color}${name}, given ${percent(shares[level])}: ${cost} bits.`;
  }
}

function bar(at, share) {
  const height = Math.max(share, LEAST);
  return `M${at + 0.06} 1v${-height}h0.88v${height}z`;
}

/** What levels are called: each of few, or the ends of many. */
function namesOf(count) {
  if (count === 2) return ["black", "white"];
  if (count > 4) return ["level 0", String(count - 1)];
  return Array.from({ length: count }, (_, level) => `level ${level}`);
}
