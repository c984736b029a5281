/** Small controls with their labels. */

import { el } from "./dom.js";

/** A control with words before it. */
export function labelled(words, control) {
  return el("label", { class: "knob" }, el("span", {}, words), control);
}

/**
 * A choice of one of so many classes.
 * @param {number} classes
 * @param {function()} onchange
 * @param {string|null} first what is offered before them, with no value
 */
export function classChoice(classes, onchange, first = null) {
  const every = Array.from({ length: classes }, (_, n) => el("option", { value: n }, String(n)));
  const before = first === null ? null : el("option", { value: "" }, first);
  return el("select", { change: onchange }, before, every);
}

/** A number from a range. */
export function range(min, max, step, value, onchange = null) {
  return el("input", { type: "range", min, max, step, value, change: onchange });
}
