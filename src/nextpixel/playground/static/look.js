/** The view Look inside: what models predict at a pixel, what they see, what surprises them. */

import { post, wordsOf } from "./api.js";
import { el, refill } from "./dom.js";
import { Easel } from "./easel.js";
import { ChoiceField } from "./fields.js";
import { Latest } from "./latest.js";
import { ClassField, ModelField } from "./modelfield.js";
import { firstPair, partners } from "./pairs.js";
import { FIELD } from "./paint.js";
import { Picker } from "./picker.js";
import { Sight } from "./sight.js";

const LEGEND = {
  here: "this pixel",
  sees: "seen",
  blind: "blind spot",
  far: "earlier, out of reach",
  later: "later: never seen",
};

export class LookView {
  constructor(place, models) {
    this.models = models.filter((model) => model.usable);
    const [first, second] = firstPair(this.models);
    this.model = new ModelField(this.models, { onchange: () => this.setModel() });
    this.model.choose(first.name);
    this.beside = new ChoiceField("beside", "Beside it", [], {
      hint: "Another model of the same images.",
    });
    this.beside.control.addEventListener("change", () => this.setBeside());
    this.classField = new ClassField({ hint: "What the models are told the image shows." });
    this.classField.control.addEventListener("change", () => this.refresh());
    this.easel = new Easel("The image to look into", ["look", "draw"], {
      onlook: () => this.pixel.ask(),
      onchange: () => this.refresh(),
    });
    this.picker = new Picker((images, label) => this.pick(images, label));
    this.pixel = new Latest(() => this.look());
    this.whole = new Latest(() => this.score());
    this.sights = [new Sight(), new Sight()];
    place.append(this.layout());
    this.setModel(second?.name);
  }

  layout() {
    const fields = [this.model, this.beside, this.classField].map(({ node }) => node);
    const choices = el("div", { class: "row" }, fields);
    const left = el("div", {}, this.easel.node, legend());
    this.panels = el("div", { class: "sights" });
    const sides = el("div", { class: "sides look" }, left, this.panels);
    return el("div", {}, choices, this.picker.node, sides);
  }

  /** Take up the chosen model, and one to stand beside it. */
  setModel(beside) {
    const { model } = this.model;
    const others = partners(this.models, model);
    this.beside.offer([...others.map(({ name }) => [name, name]), ["", "no other"]]);
    if (beside) this.beside.value = beside;
    this.easel.setModel(model);
    this.setShown();
    this.picker.setModel(model).then(() => this.refresh());
  }

  setBeside() {
    this.setShown();
    this.refresh();
  }

  /** The models looked at, one or two. */
  setShown() {
    const second = this.models.find(({ name }) => name === this.beside.value);
    this.shown = [this.model.model, second].filter(Boolean);
    this.classField.setModel(this.shown.find(isTold) ?? this.shown[0]);
    this.shown.forEach(({ name }, i) => this.sights[i].setModel(name));
    refill(this.panels, this.shown.map((_, i) => this.sights[i].node));
  }

  pick(images, label) {
    if (label !== null) this.classField.value = label;
    this.easel.setImage(images);
    this.refresh();
  }

  refresh() {
    if (!this.easel.images) return;
    this.pixel.ask();
    this.whole.ask();
  }

  /** Each model is asked apart, since only some are told a class. */
  async look() {
    const { row, column, images } = this.easel;
    const image = images.packOne();
    await this.each(async (model, sight) => {
      const body = { models: [model.name], image, row, column, label: this.told(model) };
      const { looks } = await post("api/look", body);
      sight.showPixel(looks[0], images, row, column);
    });
  }

  async score() {
    const { images } = this.easel;
    const image = images.packOne();
    await this.each(async (model, sight) => {
      const body = { model: model.name, image, label: this.told(model) };
      sight.showScore(await post("api/score", body), images);
    });
  }

  async each(ask) {
    const asked = this.shown.map(async (model, i) => {
      const sight = this.sights[i];
      await ask(model, sight).catch((error) => sight.fail(wordsOf(error)));
    });
    await Promise.all(asked);
  }

  told(model) {
    return isTold(model) ? this.classField.chosen : null;
  }
}

function isTold(model) {
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
