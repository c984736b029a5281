/** Inputs with a label, a hint, and room for what is wrong with them. */

import { wordsOf } from "./api.js";
import { button, el, freshId, refill } from "./dom.js";

/** An input and its words. `node` goes on the page. */
export class Field {
  /**
   * @param {string} name as the server calls it
   * @param {string} label what the reader sees
   * @param {HTMLElement} control the input
   * @param {{hint?: string, action?: Node}} more a sentence below; a button to its right
   */
  constructor(name, label, control, { hint = "", action = null } = {}) {
    this.name = name;
    this.label = label;
    this.control = control;
    control.id = freshId(name);
    this.error = el("p", { class: "error", id: `${control.id}-error`, role: "alert" });
    this.hint = el("p", { class: "hint", id: `${control.id}-hint` }, hint);
    control.setAttribute("aria-describedby", `${this.error.id} ${this.hint.id}`);
    this.node = el(
      "div",
      { class: `field field-${name}` },
      el("label", { for: control.id }, label),
      el("div", { class: "inline" }, control, action),
      this.error,
      this.hint,
    );
  }

  /** Say what is wrong, next to the input. */
  fail(message) {
    this.error.textContent = message;
    this.control.setAttribute("aria-invalid", "true");
    const folded = this.node.closest("details");
    if (folded) folded.open = true;
  }

  /** Nothing is wrong any more. */
  clear() {
    this.error.textContent = "";
    this.control.removeAttribute("aria-invalid");
  }

  /** Put another hint below the input. */
  setHint(hint) {
    this.hint.textContent = hint;
  }

  /** Show or hide all of it. */
  show(shown) {
    this.node.hidden = !shown;
  }

  /** Whether its value is valid; if not, it says so. */
  check() {
    this.clear();
    if (this.node.hidden || this.control.validity.valid) return true;
    this.fail(wrong(this.label, this.control));
    return false;
  }
}

/** A number; an empty one is null where it is not required. */
export class NumberField extends Field {
  constructor(name, label, { value = "", min, max, step = 1, required = true, ...more }) {
    const limits = { type: "number", inputmode: "decimal", value, min, max, step, required };
    super(name, label, el("input", limits), more);
  }

  get value() {
    return this.control.value === "" ? null : Number(this.control.value);
  }

  set value(number) {
    this.control.value = number;
  }

  /** Allow no more than this. */
  limit(max) {
    if (max !== undefined) this.control.max = max;
  }
}

/** One of a few: pairs of value and text. */
export class ChoiceField extends Field {
  constructor(name, label, choices, more) {
    super(name, label, el("select"), more);
    this.offer(choices);
  }

  /** Offer other choices. */
  offer(choices) {
    const options = choices.map(([value, text]) => el("option", { value }, text));
    refill(this.control, options);
  }

  get value() {
    return this.control.value;
  }

  set value(value) {
    this.control.value = value;
  }
}

/** A place to drop files or a folder, or to choose them. */
export class DropField extends Field {
  /**
   * @param {string} name as the server calls it
   * @param {string} label
   * @param {{accept: string, several?: boolean, hint: string, onfiles: function(File[])}} more
   */
  constructor(name, label, { accept, several = false, hint, onfiles }) {
    const input = el("input", { type: "file", accept, multiple: several });
    super(name, label, input, { hint });
    this.onfiles = onfiles;
    input.addEventListener("change", () => onfiles([...input.files]));
    if (several) this.hint.before(this.folderButton());
    this.node.classList.add("drop");
    this.node.addEventListener("dragover", (event) => this.over(event, true));
    this.node.addEventListener("dragleave", (event) => this.over(event, false));
    this.node.addEventListener("drop", (event) => this.drop(event));
  }

  /** Browsers choose folders by an input of their own. */
  folderButton() {
    const take = () => this.onfiles([...folder.files]);
    const folder = el("input", { type: "file", webkitdirectory: true, hidden: true, change: take });
    return el(
      "div",
      {},
      button("Choose a folder", () => folder.click()),
      folder,
    );
  }

  over(event, inside) {
    event.preventDefault();
    this.node.classList.toggle("over", inside);
  }

  async drop(event) {
    this.over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
    const files = await Promise.all(entries.filter(Boolean).map(filesOf));
    this.onfiles(files.flat());
  }
}

/** The fields of a form, to check and to blame together. */
export class Fields {
  /**
   * @param {Field[]} fields
   * @param {HTMLElement} general where stands what is about no field of these
   */
  constructor(fields, general) {
    this.fields = fields;
    this.general = general;
  }

  /** Whether all values are valid; the first that is not gets the focus. */
  check() {
    this.general.textContent = "";
    const wrongOnes = this.fields.filter((field) => !field.check());
    wrongOnes[0]?.control.focus();
    return !wrongOnes.length;
  }

  /** Show a refusal at the field it names, or else in the general place. */
  blame(refusal) {
    const words = wordsOf(refusal);
    const field = this.fields.find((one) => isAbout(refusal.field, one));
    if (field) field.fail(words);
    else this.general.textContent = words;
  }
}

function wrong(label, { min, max, step, validity }) {
  if (validity.stepMismatch && Number(step) === 1) return `${label} must be a whole number.`;
  if (min && max) return `${label} must be a number from ${min} to ${max}.`;
  if (min) return `${label} must be a number, at least ${min}.`;
  return `${label} must be a number.`;
}

/** Whether the server's name of a field, such as image.data.0, means this one. */
function isAbout(name, field) {
  return name?.split(".")[0] === field.name && !field.node.hidden;
}

/** All files of what was dropped, those of folders within too, by name. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) break;
    inside.push(...some);
  }
  inside.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return (await Promise.all(inside.map(filesOf))).flat();
}
