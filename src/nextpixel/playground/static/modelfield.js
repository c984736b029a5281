/** The choice of a model, with what it is in one line, and of a class if it takes one. */

import { ChoiceField } from "./fields.js";
import { number } from "./format.js";

const UNKNOWN = -1; // for models that were trained without a class too

/** A choice among models; `onchange` is called with the model chosen. */
export class ModelField extends ChoiceField {
  /**
   * @param {Object[]} models as the server lists them
   * @param {{name?: string, label?: string, onchange?: function(Object)}} more
   */
  constructor(models, { name = "model", label = "Model", onchange = () => {} } = {}) {
    super(
      name,
      label,
      models.map((model) => [model.name, titled(model)]),
    );
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
    if (this.model) this.setHint(described(this.model));
  }
}

/** The class that a model is conditioned on; hidden for models without classes. */
export class ClassField extends ChoiceField {
  /**
   * @param {Object} more
   * @param {string} more.hint
   * @param {string|null} more.open what it means to choose no class, if that can be done
   * @param {boolean} more.unknown whether the class may be unknown, to models that allow it
   */
  constructor({ open = null, unknown = true, ...more }) {
    super("label", "Class", [], more);
    Object.assign(this, { open, unknown });
  }

  /** Offer the classes of a model. */
  setModel(model) {
    const count = model.condition === "class" ? model.classes : 0;
    const kept = this.value;
    const named = Array.from({ length: count }, (_, label) => [label, String(label)]);
    const open = this.open ? [["", this.open]] : [];
    const unknown = this.unknown && model.takes_unknown ? [[UNKNOWN, "unknown"]] : [];
    this.offer([...open, ...named, ...unknown]);
    if (kept !== "" && Number(kept) < count) this.value = kept;
    this.show(count > 0);
  }

  /** The class, or null where none is chosen. */
  get chosen() {
    return this.value === "" ? null : Number(this.value);
  }
}

/** The model to begin with: a class-conditional one of the largest images, where there is one. */
export function firstModel(models) {
  const conditional = models.filter(({ condition }) => condition === "class");
  const area = ({ shape }) => shape[1] * shape[2];
  return conditional.sort((one, other) => area(other) - area(one))[0] ?? models[0];
}

/** A model in a list: what it is, as briefly as can be, then its name. */
export function titled({ title, name }) {
  const brief = title.split(/[;,(]/)[0].trim();
  return `${brief[0].toUpperCase()}${brief.slice(1)} \u2013 ${name}`;
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

function measured(model) {
  const rate = model.bits_per_dim;
  if (rate === null || rate === undefined) return "";
  const note = uncounted(model);
  return `; ${number(rate, 4)} bits a value on test images${note && `, not counting ${note}`}`;
}

/**
 * What a model is given beyond the pixels, its bits not counted in any figure; "" for none. A class
 * is no part of the image; a code of the image is.
 */
export function uncounted({ condition, conditioned_on: code }) {
  return condition === "other" ? (code ?? "a condition made from the image itself") : "";
}
