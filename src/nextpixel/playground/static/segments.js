/** One of a few, side by side: radio buttons that look like one strip. */

import { el, freshId } from "./dom.js";

export class Segments {
  /**
   * @param {string} title what is chosen
   * @param {Array<[string, string]>} choices values and their words
   * @param {function()} onchange
   */
  constructor(title, choices, onchange) {
    const name = freshId("segments");
    this.inputs = choices.map(([value]) =>
      el("input", { type: "radio", name, value, change: onchange }),
    );
    const labels = choices.map(([, words], i) => el("label", {}, this.inputs[i], words));
    const strip = el("div", { class: "strip-of" }, labels);
    this.node = el("fieldset", { class: "segments" }, el("legend", {}, title), strip);
  }

  get value() {
    return this.inputs.find((input) => input.checked)?.value;
  }

  /** Choose a value; one that is not offered changes nothing. */
  set value(value) {
    const input = this.inputs.find((one) => one.value === value);
    if (input) input.checked = true;
  }
}
