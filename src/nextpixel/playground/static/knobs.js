/** The two controls of the stations: a slider, and a choice between a few. */

import { el, freshId } from "./dom.js";

/** A number on a line. `node` goes on the page. */
export class Slider {
  /**
   * @param {string} label
   * @param {{min: number, max: number, step: number}} limits
   * @param {{oninput: function(), words: function(number): string}} more when it is moved; its
   *   value in words
   */
  constructor(label, limits, { oninput, words }) {
    const id = freshId("slider");
    this.words = words;
    this.control = el("input", { type: "range", id, ...limits, input: oninput });
    this.shown = el("output", { for: id, "aria-live": "off" });
    const head = el("div", { class: "head" }, el("label", { for: id }, label), this.shown);
    this.node = el("div", { class: "slider" }, head, this.control);
  }

  get value() {
    return Number(this.control.value);
  }

  set value(number) {
    this.control.value = number;
    const words = this.words(this.value);
    this.shown.textContent = words;
    this.control.setAttribute("aria-valuetext", words);
  }
}

/** One of a few, all visible. `node` goes on the page. */
export class Choice {
  /**
   * @param {string} legend
   * @param {[string, string][]} choices pairs of value and words
   * @param {function()} oninput when another is chosen
   */
  constructor(legend, choices, oninput) {
    const name = freshId("choice");
    this.inputs = choices.map(([value]) =>
      el("input", { type: "radio", name, value, input: oninput }),
    );
    const labels = choices.map(([, words], i) => el("label", {}, this.inputs[i], words));
    const segments = el("div", { class: "segments" }, labels);
    this.node = el("fieldset", { class: "either" }, el("legend", {}, legend), segments);
  }

  get value() {
    return this.inputs.find(({ checked }) => checked).value;
  }

  /** A value that is not offered changes nothing. */
  set value(value) {
    for (const input of this.inputs) if (input.value === value) input.checked = true;
  }
}
