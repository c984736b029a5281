/** Bars of a pixel's distribution, with the level that the picture has, and in words. */

import { el, refill, svg } from "./dom.js";
import { number, percent } from "./format.js";

const NAMES = { 1: [""], 3: ["Red", "Green", "Blue"] };

/**
 * Show the distributions of a pixel, one a color, with its own levels marked.
 * @param {HTMLElement} place
 * @param {Float32Array[]} distributions
 * @param {number[]} levels that the picture has
 * @param {number} cost of the pixel, in bits
 */
export function showBars(place, distributions, levels, cost) {
  const names = NAMES[levels.length] ?? levels.map((_, color) => `Color ${color + 1}`);
  const charts = distributions.map((row, color) => chart(row, levels[color], names[color]));
  const words = `That costs ${number(cost, 2)} bits.`;
  refill(place, charts, el("p", { class: "cost" }, words));
}

function chart(probabilities, level, name) {
  const words = inWords(probabilities, level);
  const bars = Array.from(probabilities, (share, at) => bar(share, at, at === level));
  const view = { viewBox: `0 0 ${probabilities.length} 1`, preserveAspectRatio: "none" };
  const picture = svg("svg", { class: "bars", role: "img", "aria-label": words, ...view }, bars);
  const ends = [el("span", {}, "level 0"), el("span", {}, String(probabilities.length - 1))];
  const caption = el("figcaption", {}, name ? `${name}: ${words}` : words);
  const figure = el("figure", {}, picture, el("div", { class: "axis" }, ends), caption);
  picture.style.maxWidth = figure.children[1].style.maxWidth = `${5 * probabilities.length}rem`;
  return figure;
}

function bar(share, at, actual) {
  const height = Math.max(share, 0.004); // what is almost nothing is still a line
  const place = { x: at + 0.06, y: 1 - height, width: 0.88, height };
  return svg("rect", { class: actual ? "actual" : "bar", ...place });
}

function inWords(probabilities, level) {
  const ranked = Array.from(probabilities, (share, at) => [share, at]);
  const best = ranked.sort((a, b) => b[0] - a[0]).slice(0, 2);
  const named = best.map(([share, at]) => `${at} (${percent(share)})`).join(", then ");
  const given = percent(probabilities[level]);
  return `Likeliest: ${named}. The picture has ${level}, given ${given}.`;
}
