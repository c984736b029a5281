/** The chances of the levels at one pixel: bars, and a strip on which a random number falls. */

import { el, svg } from "./dom.js";
import { number, percent } from "./format.js";
import { gray } from "./pictures.js";

export class Bars {
  /** @param {number} levels */
  constructor(levels) {
    this.levels = levels;
    this.bars = Array.from({ length: levels }, (_, k) => svg("rect", { x: k + 0.08, width: 0.84 }));
    this.parts = Array.from({ length: levels }, (_, k) => segment(k, levels));
    this.needle = svg("path", { class: "needle" });
    this.words = el("figcaption");
    const view = { viewBox: `0 0 ${levels} 1`, preserveAspectRatio: "none", "aria-hidden": "true" };
    this.chart = svg("svg", { class: "bars", ...view }, this.bars);
    const wide = { viewBox: "0 0 100 14", preserveAspectRatio: "none", "aria-hidden": "true" };
    this.strip = svg("svg", { class: "strip-of-chance", ...wide }, this.parts, this.needle);
    const ends = namesOf(levels).map((name) => el("span", {}, name));
    const axis = el("div", { class: levels > 4 ? "axis" : "axis each" }, ends);
    this.node = el("figure", { class: "chances" }, this.chart, axis, this.strip, this.words);
  }

  /**
   * @param {Float64Array} chances
   * @param {number} level the level of the picture
   * @param {number|null} uniform the random number that chose it, if one did
   */
  show(chances, level, uniform = null) {
    let below = 0;
    chances.forEach((chance, k) => {
      const height = Math.max(chance, 0.006); // what is almost nothing is still a line
      place(this.bars[k], { y: 1 - height, height, class: k === level ? "actual" : "bar" });
      place(this.parts[k], { x: 100 * below, width: 100 * chance });
      below += chance;
    });
    this.strip.toggleAttribute("hidden", uniform === null);
    const at = 100 * (uniform ?? 0);
    this.needle.setAttribute("d", `M${at} 8 l1.2 6 h-2.4 z`);
    this.words.textContent = inWords(chances[level], level, this.levels, uniform);
  }
}

function place(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
}

function segment(level, levels) {
  const [value] = gray(level, levels);
  return svg("rect", { y: 0, height: 7, fill: `rgb(${value} ${value} ${value})` });
}

/** Names of the levels, or of the ends of many. */
function namesOf(levels) {
  if (levels === 2) return ["black", "white"];
  if (levels > 4) return ["black", `white (level ${levels - 1})`];
  return ["black", ...Array.from({ length: levels - 2 }, (_, k) => `gray ${k + 1}`), "white"];
}

function inWords(chance, level, levels, uniform) {
  const names = namesOf(levels);
  const name = levels > 4 ? `level ${level}` : names[level];
  const cost = `${number(Math.abs(Math.log2(chance)), 2)} bits`;
  if (uniform === null) return `The picture has ${name}, given ${percent(chance)}: ${cost}.`;
  return `The random number ${number(uniform, 2)} picks ${name}, given ${percent(chance)}.`;
}
