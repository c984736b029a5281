/** Sizes side by side, as bars with their figures. */

import { el, svg } from "./dom.js";
import { bytes } from "./format.js";

/**
 * @param {Array<[string, number, string]>} rows what, how many bytes, and the kind of bar
 * @returns {HTMLElement}
 */
export function sizeBars(rows) {
  const most = Math.max(...rows.map(([, size]) => size));
  const lines = rows.map(([what, size, kind]) => [
    el("dt", {}, what),
    el("dd", {}, line(size / most, kind), el("span", {}, bytes(size))),
  ]);
  return el("dl", { class: "sizes" }, lines.flat());
}

function line(share, kind) {
  const view = { class: "size", viewBox: "0 0 100 1", preserveAspectRatio: "none" };
  const bar = svg("rect", { class: kind, width: Math.max(0.5, 100 * share), height: 1 });
  return svg("svg", { ...view, "aria-hidden": "true" }, bar);
}
