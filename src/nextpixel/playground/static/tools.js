/** The tools of the editor: what a stroke does, how wide it is, and the level it draws. */

import { el, freshId, refill } from "./dom.js";
import { ChoiceField, Field } from "./fields.js";

const WORDS = { inspect: "Inspect", erase: "Erase", restore: "Restore", draw: "Draw" };
const SIZES = [1, 2, 3, 5, 8];
const FIRST = 3;

export class Tools {
  /**
   * @param {string[]} names of inspect, erase, restore, draw; the first is selected
   * @param {function()} onchange another tool or brush was selected
   */
  constructor(names, onchange) {
    this.tool = names[0];
    this.onchange = onchange;
    this.size = new ChoiceField(
      "brush",
      "Brush",
      SIZES.map((side) => [side, `${side}×${side}`]),
      {},
    );
    this.size.value = FIRST;
    this.size.control.addEventListener("change", onchange);
    this.inkPlace = el("div", { class: "field" });
    this.node = el(
      "fieldset",
      { class: "tools" },
      el("legend", {}, "Tool"),
      this.radios(names),
      this.size.node,
      this.inkPlace,
    );
    this.showOptions();
  }

  /** Side of the brush, in pixels. */
  get brush() {
    return this.tool === "inspect" ? 1 : Number(this.size.value);
  }

  /** The level to draw, one a color. */
  get ink() {
    const { value: hex } = this.inkField.control;
    const [colors] = this.model.shape;
    if (colors !== 3) return Array(colors).fill(Number(hex));
    const scale = (this.model.levels - 1) / 255;
    return [1, 3, 5].map((at) => Math.round(parseInt(hex.slice(at, at + 2), 16) * scale));
  }

  /** Offer the inks of a model. */
  setModel(model) {
    this.model = model;
    const top = model.levels - 1;
    const control =
      model.shape[0] === 3
        ? el("input", { type: "color", value: "#ff8000" })
        : el("input", { type: "range", min: 0, max: top, value: top });
    const hint = model.shape[0] === 3 ? "" : `Level 0 is black, ${top} white.`;
    this.inkField = new Field("ink", "Ink", control, { hint });
    refill(this.inkPlace, this.inkField.node);
  }

  radios(names) {
    const group = freshId("tool");
    const radio = (name) => {
      const input = el("input", {
        type: "radio",
        name: group,
        value: name,
        checked: name === this.tool,
        change: () => this.select(name),
      });
      return el("label", { class: "choice" }, input, WORDS[name]);
    };
    return el("div", { class: "choices" }, names.map(radio));
  }

  select(name) {
    this.tool = name;
    this.showOptions();
    this.onchange();
  }

  showOptions() {
    this.size.show(this.tool !== "inspect");
    this.inkPlace.hidden = this.tool !== "draw";
  }
}
