/** The choice of a model, with what it is in one line, and of a class where it is told one. */

import { ChoiceField } from "./fields.js";
import { number } from "./format.js";

const UNKNOWN = -1; // of models that have learned without a class too

/** A choice among models; `onchange` is told the model chosen. */
export class ModelField extends ChoiceField {
  /**
   * @param {Object[]} models as the server lists them
   * @param {{name?: string, label?: string, onchange?: function(Object)}} more
   */
  constructor(models, { name = "model", label = "Model", onchange = () => {} } = {}) {
    super(name, label, models.map((model) => [model.name, model.name]));
    this.models = models;
    this.control.addEventListener("change", () => {
      this.describe();
      onchange(this.model);
    });
    this.describe();
  }

  get model() {
    return this.models.find((model) => model.name === this.value);
  }

  /** Choose a model by name, if it is there. */
  choose(name) {
    if (this.models.some((model) => model.name === name)) this.value = name;
    this.describe();
  }

  describe() {
    if (this.model) this.tell(described(this.model));
  }
}

/** The class that a model is told; hidden for models that are told none. */
export class ClassField extends ChoiceField {
  /**
   * @param {Object} more
   * @param {string} more.hint
   * @param {string|null} more.open what it means to choose no class, if that can be done
   * @param {boolean} more.untold whether a model may be told that the class is not known
   */
  constructor({ open = null, untold = true, ...more }) {
    super("label", "Class", [], more);
    Object.assign(this, { open, untold });
  }

  /** Offer the classes of a model. */
  setModel(model) {
    const count = model.condition === "class" ? model.classes : 0;
    const kept = this.value;
    const named = Array.from({ length: count }, (_, label) => [label, String(label)]);
    const open = this.open ? [["", this.open]] : [];
    const untold = this.untold && model.unknown ? [[UNKNOWN, "not told"]] : [];
    this.offer([...open, ...named, ...untold]);
    if (kept !== "" && Number(kept) < count) this.value = kept;
    this.show(count > 0);
  }

  /** The class, or null where none is chosen. */
  get chosen() {
    return this.value === "" ? null : Number(this.value);
  }
}

/** The model to begin with: one that is told a class, of the largest images, where there is one. */
export function firstModel(models) {
  const told = models.filter(({ condition }) => condition === "class");
  const area = ({ shape }) => shape[1] * shape[2];
  return told.sort((one, other) => area(other) - area(one))[0] ?? models[0];
}

/** What a model is: size, levels, data, and how well it predicts. */
export function described(model) {
  const [colors, height, width] = model.shape;
  const inks = colors === 1 ? "gray" : `${colors} colors`;
  const size = `${height}×${width} pixels, ${inks}, ${model.levels} levels`;
  const data = model.data ? `; learned from ${model.data}` : "";
  const protocol = model.data && model.protocol ? ` (${model.protocol})` : "";
  return `${size}${data}${protocol}${measured(model)}.`;
}

function measured({ bits_per_dim: rate }) {
  if (rate === null || rate === undefined) return "";
  return `; ${number(rate, 4)} bits a value on test images`;
}
