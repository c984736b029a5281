/** A distribution over levels as bars, and in words. */

import { el, refill, svg } from "./dom.js";
import { number, percent } from "./format.js";

const NAMES = { 1: [""], 3: ["Red", "Green", "Blue"] };

/** Show the distributions of a pixel, one a color, with its own levels marked. */
export function showBars(place, probabilities, levels) {
  const names = NAMES[levels.length] ?? levels.map((_, color) => `Color ${color + 1}`);
  refill(
    place,
    probabilities.map((row, color) => chart(row, levels[color], names[color])),
  );
}

function chart(probabilities, level, name) {
  const words = inWords(probabilities, level);
  const bars = probabilities.map((share, at) => bar(share, at, at === level));
  const view = { viewBox: `0 0 ${probabilities.length} 1`, preserveAspectRatio: "none" };
  const picture = svg("svg", { class: "bars", role: "img", "aria-label": words, ...view }, bars);
  const ends = [el("span", {}, "level 0"), el("span", {}, String(probabilities.length - 1))];
  const caption = el("figcaption", {}, name ? `${name}: ${words}` : words);
  const figure = el("figure", {}, picture, el("div", { class: "axis" }, ends), caption);
  picture.style.maxWidth = figure.children[1].style.maxWidth = `${4 * probabilities.length}rem`;
  return figure;
}

function bar(share, at, actual) {
  const height = Math.max(share, 0.004); // what is almost nothing is still a line
  const place = { x: at + 0.06, y: 1 - height, width: 0.88, height };
  return svg("rect", { class: actual ? "actual" : "bar", ...place });
}

function inWords(probabilities, level) {
  const ranked = probabilities.map((share, at) => [share, at]).sort((a, b) => b[0] - a[0]);
  const best = ranked.slice(0, 2).map(([share, at]) => `${at} (${percent(share)})`);
  const bits = -Math.log2(probabilities[level]);
  return (
    `Likeliest: ${best.join(", then ")}. The picture has ${level}, ` +
    `given ${percent(probabilities[level])}: that costs ${number(bits, 2)} bits.`
  );
}
