/** The receptive field on the picture itself: tinted pixels, and which model's field it is. */

import { el, freshId, refill } from "./dom.js";
import { FIELD } from "./paint.js";

const LEGEND = {
  seen: "seen by the model",
  blind: "blind spot",
  far: "earlier, out of reach",
  later: "later: never seen",
};
const SHARE = { seen: 0.5, blind: 0.72, far: 0.5, later: 0.62 };

export class Overlay {
  /** @param {function()} onchange another model's field was chosen */
  constructor(onchange) {
    this.onchange = onchange;
    this.chosen = 0;
    this.choices = el("div", { class: "choices" });
    const legend = el("legend", {}, "Receptive field on the picture");
    this.legend = el("ul", { class: "legend" }, Object.keys(LEGEND).map(entry));
    this.node = el("fieldset", { class: "overlay" }, legend, this.choices, this.legend);
  }

  /** Offer the fields of some models, by name. */
  setModels(names) {
    if (this.chosen >= names.length) this.chosen = 0;
    const group = freshId("overlay");
    const radio = (text, number) => {
      const change = () => this.choose(number);
      const checked = number === this.chosen;
      const input = el("input", { type: "radio", name: group, value: number, checked, change });
      return el("label", { class: "choice" }, input, text);
    };
    refill(this.choices, names.map(radio), radio("none", -1));
  }

  choose(number) {
    this.chosen = number;
    this.legend.hidden = number < 0;
    this.onchange();
  }
}

/** A pixel's color under the tint of its kind; "here" has none. */
export function tinted(color, kind) {
  const share = SHARE[kind] ?? 0;
  return share ? color.map((value, i) => value + share * (FIELD[kind][i] - value)) : color;
}

/** Hatch the blind spot, so that not its color alone says it. */
export function hatch(context, scale, kinds, width) {
  if (scale < 6) return;
  context.strokeStyle = "#6b3600";
  context.lineWidth = Math.max(1, scale / 10);
  context.beginPath();
  kinds.forEach((kind, cell) => {
    if (kind !== "blind") return;
    const [x, y] = [(cell % width) * scale, Math.floor(cell / width) * scale];
    context.moveTo(x + 0.2 * scale, y + 0.8 * scale);
    context.lineTo(x + 0.8 * scale, y + 0.2 * scale);
  });
  context.stroke();
}

/** A kind's tint, on a dark pixel and on a light one. */
function entry(kind) {
  const swatch = el("span", { class: `swatch swatch-${kind}` });
  const [dark, light] = [0, 255].map((value) => tinted([value, value, value], kind));
  swatch.style.setProperty("--dark", `rgb(${dark.join(" ")})`);
  swatch.style.setProperty("--light", `rgb(${light.join(" ")})`);
  return el("li", {}, swatch, LEGEND[kind]);
}
