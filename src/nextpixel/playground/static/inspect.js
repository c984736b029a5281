/** The view Look inside: predictions, receptive fields and costs of one or two models. */

import { post, wordsOf } from "./api.js";
import { el, refill } from "./dom.js";
import { Editor } from "./editor.js";
import { ChoiceField } from "./fields.js";
import { ClassField, ModelField } from "./modelfield.js";
import { FIELD } from "./paint.js";
import { Inspector } from "./inspector.js";
import { Picker, sameImages } from "./picker.js";

const LEGEND = {
  here: "this pixel",
  seen: "receptive field",
  blind: "blind spot",
  far: "earlier, out of reach",
  later: "later: never seen",
};

const CONDITIONS = { none: 0, class: 1, other: 3 };

export class InspectView {
  constructor(place, models) {
    this.models = models.filter((model) => model.usable);
    const [first, second] = firstPair(this.models);
    this.model = new ModelField(this.models, { onchange: () => this.setModel() });
    this.model.choose(first.name);
    this.second = new ChoiceField("second", "Compare with", [], {
      hint: "Another model of the same images.",
    });
    this.second.control.addEventListener("change", () => this.setSecond());
    this.classField = new ClassField({ hint: "The class of the image, for models that take one." });
    this.classField.control.addEventListener("change", () => this.refresh());
    this.editor = new Editor("The image to inspect", ["inspect", "draw"], {
      onpoint: () => this.pixel.ask(),
      onchange: () => this.refresh(),
    });
    this.picker = new Picker((images, label) => this.pick(images, label));
    this.pixel = new Latest(() => this.inspect());
    this.whole = new Latest(() => this.score());
    this.inspectors = [new Inspector(), new Inspector()];
    place.append(this.layout());
    this.setModel(second?.name);
  }

  layout() {
    const fields = [this.model, this.second, this.classField].map(({ node }) => node);
    const choices = el("div", { class: "row" }, fields);
    const left = el("div", {}, this.editor.node, legend());
    this.panels = el("div", { class: "inspectors" });
    const sides = el("div", { class: "sides inspect" }, left, this.panels);
    return el("div", {}, choices, this.picker.node, sides);
  }

  /** Show the chosen model, and another to compare it with. */
  setModel(second) {
    const { model } = this.model;
    const others = partners(this.models, model);
    this.second.offer([...others.map(({ name }) => [name, name]), ["", "no other"]]);
    if (second) this.second.value = second;
    this.editor.setModel(model);
    this.setShown();
    this.picker.setModel(model).then(() => this.refresh());
  }

  setSecond() {
    this.setShown();
    this.refresh();
  }

  /** The models inspected, one or two. */
  setShown() {
    const second = this.models.find(({ name }) => name === this.second.value);
    this.shown = [this.model.model, second].filter(Boolean);
    this.classField.setModel(this.shown.find(takesClass) ?? this.shown[0]);
    this.shown.forEach((model, i) => this.inspectors[i].setModel(model));
    refill(this.panels, this.shown.map((_, i) => this.inspectors[i].node));
  }

  pick(images, label) {
    if (label !== null) this.classField.value = label;
    this.editor.setImage(images);
    this.refresh();
  }

  refresh() {
    if (!this.editor.images) return;
    this.pixel.ask();
    this.whole.ask();
  }

  /** Each model is asked apart, since only some take a class. */
  async inspect() {
    const { row, column, images } = this.editor;
    const image = images.packOne();
    await this.each(async (model, inspector) => {
      const body = { models: [model.name], image, row, column, label: this.label(model) };
      const { predictions } = await post("api/inspect", body);
      return () => inspector.showPixel(predictions[0], images, row, column);
    });
  }

  async score() {
    const { images } = this.editor;
    const image = images.packOne();
    await this.each(async (model, inspector) => {
      const body = { model: model.name, image, label: this.label(model) };
      const found = await post("api/score", body);
      return () => inspector.showScore(found, images);
    });
  }

  /** Ask for each model, and show its answer unless another model is shown there meanwhile. */
  async each(ask) {
    const asked = this.shown.map(async (model, i) => {
      const inspector = this.inspectors[i];
      const fail = (error) => () => inspector.fail(wordsOf(error));
      const show = await ask(model, inspector).catch(fail);
      if (this.shown[i] === model) show();
    });
    await Promise.all(asked);
  }

  label(model) {
    return takesClass(model) ? this.classField.chosen : null;
  }
}

function takesClass(model) {
  return model.condition === "class";
}

function legend() {
  const entries = Object.entries(LEGEND).map(([kind, words]) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.backgroundColor = `rgb(${FIELD[kind].join(" ")})`;
    return el("li", {}, swatch, words);
  });
  return el("ul", { class: "legend" }, entries);
}

/** Models that can be compared with one, since they take the same images; in order. */
function partners(models, model) {
  return models.filter((other) => other !== model && sameImages(other, model));
}

/**
 * A plain model and a gated one, else two that take the same images, else one: [first, second].
 * Of several such pairs, that with the least condition.
 */
function firstPair(models) {
  const pairs = models.flatMap((one) => partners(models, one).map((other) => [one, other]));
  const contrast = pairs.filter(([one, other]) => !isGated(one) && isGated(other));
  return leastCondition(contrast) ?? leastCondition(pairs) ?? [models[0], null];
}

function leastCondition(pairs) {
  const weight = ([one, other]) => CONDITIONS[one.condition] + CONDITIONS[other.condition];
  return [...pairs].sort((a, b) => weight(a) - weight(b))[0];
}

function isGated({ name, title }) {
  return /gated/i.test(`${name} ${title}`);
}

/** Asks the newest question only: of those that come while one is under way, the last. */
class Latest {
  /** @param {function(...*): Promise} answer must not throw */
  constructor(answer) {
    this.answer = answer;
    this.busy = false;
    this.waiting = null;
  }

  /** Ask now, or as soon as the question under way is answered. */
  async ask(...question) {
    this.waiting = question;
    if (this.busy) return;
    this.busy = true;
    while (this.waiting) {
      const next = this.waiting;
      this.waiting = null;
      await this.answer(...next);
    }
    this.busy = false;
  }
}
