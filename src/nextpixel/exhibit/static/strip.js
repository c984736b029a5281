/** A row of pictures, one of which is chosen, and the class that the net is given. */

import { button, el } from "./dom.js";
import { classChoice, labelled } from "./knobs.js";
import { imagesOf, paint } from "./pictures.js";

export class Strip {
  /**
   * @param {Object} model
   * @param {function(Uint8Array, number)} onpick the levels and the class of the chosen picture
   */
  constructor(model, onpick) {
    Object.assign(this, { model, onpick });
    this.images = imagesOf(model);
    this.buttons = this.images.map((cells, n) => {
      const canvas = el("canvas");
      paint(canvas, model, cells);
      const words = `Picture ${n + 1}${model.labels ? `, a ${model.labels[n]}` : ""}`;
      return button(canvas, () => this.pick(n), { "aria-label": words, "aria-pressed": "false" });
    });
    const row = el("div", { class: "strip", role: "group", "aria-label": "Pictures" });
    row.append(...this.buttons);
    this.node = el("div", { class: "pictures" }, row, this.classes());
  }

  classes() {
    const { classes } = this.model;
    if (!classes) return null;
    this.choice = classChoice(classes, () => this.give());
    return labelled("The net is given class", this.choice);
  }

  /** Choose a picture; the class is its own. */
  pick(n) {
    this.cells = this.images[n];
    this.buttons.forEach((one, m) => one.setAttribute("aria-pressed", String(m === n)));
    if (this.choice) this.choice.value = this.model.labels?.[n] ?? 0;
    this.give();
  }

  give() {
    this.onpick(this.cells, Number(this.choice?.value ?? 0));
  }
}
