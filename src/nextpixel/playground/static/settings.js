/** How to draw from a model: how many, how bold, from which seed. Views that draw share it. */

import { button, el } from "./dom.js";
import { NumberField } from "./fields.js";
import { ClassField } from "./modelfield.js";

export class Settings {
  /** @param {{count: number, limits: Object, onchange: function()}} options */
  constructor({ count, limits, onchange = () => {} }) {
    this.classField = new ClassField({
      hint: "The class of the images to draw.",
      open: "each in turn",
    });
    this.count = new NumberField("count", "How many", { value: count, min: 1, max: limits.count });
    this.seed = seedField(onchange);
    this.classField.control.addEventListener("change", onchange);
    this.temperature = new NumberField("temperature", "Temperature", {
      value: 1,
      min: limits.temperature_least,
      max: limits.temperature_most,
      step: "any",
      hint: "1 draws from the model itself. Lower prefers likely levels, higher is bolder.",
    });
    this.topK = new NumberField("top_k", "Only the likeliest levels: how many", {
      min: 1,
      required: false,
      hint: "Empty: any level.",
    });
    this.topP = new NumberField("top_p", "Only levels that together have probability", {
      min: 0.01,
      max: 1,
      step: "any",
      required: false,
      hint: "Empty: 1, any level.",
    });
  }

  /** What a field has where nothing is chosen: for the class, what it has by now. */
  get usual() {
    const usual = (field) => field.control.defaultValue ?? field.value;
    return new Map(this.fields.map((field) => [field, usual(field)]));
  }

  get fields() {
    return [this.classField, this.count, this.seed, this.temperature, this.topK, this.topP];
  }

  /** The nodes for the page; the rarer fields are folded away. */
  nodes() {
    const [classes, count, seed, temperature, ...rare] = this.fields.map((field) => field.node);
    const folded = el(
      "details",
      {},
      el("summary", {}, "More options"),
      count,
      temperature,
      ...rare,
    );
    return [classes, seed, folded];
  }

  /** Take what an address says, and of what it says nothing, or nothing valid, the usual. */
  take(address) {
    for (const field of this.fields) {
      field.value = address.get(field.name) ?? this.usual.get(field);
      if (field.control.selectedIndex === -1 || !field.check()) field.value = this.usual.get(field);
      field.clear();
    }
  }

  setModel(model) {
    this.classField.setModel(model);
    this.topK.limit(model.levels);
  }

  /** As the server takes it. */
  body() {
    return {
      count: this.count.value,
      label: this.classField.chosen,
      temperature: this.temperature.value,
      top_k: this.topK.value,
      top_p: this.topP.value,
      seed: this.seed.value,
    };
  }
}

function seedField(onchange) {
  const renew = button("New seed", () => {
    seed.value = Math.floor(1e6 * Math.random());
    seed.clear();
    onchange();
  });
  const seed = new NumberField("seed", "Seed", {
    value: 0,
    min: 0,
    max: 2 ** 31 - 1,
    action: renew,
    hint: "The same seed gives the same picture, always.",
  });
  return seed;
}

/** What the address keeps of settings as the server takes them. */
export function kept({ label, seed, count, temperature, top_k: topK, top_p: topP }) {
  const plain = temperature === 1 ? null : temperature;
  return { label, seed, count, temperature: plain, top_k: topK, top_p: topP };
}
