/** The view Complete: erase pixels of an image, and let a model draw them again. */

import { encode } from "./bytes.js";
import { button, el } from "./dom.js";
import { saveButtons } from "./download.js";
import { Editor } from "./editor.js";
import { Fields } from "./fields.js";
import { nats, number, several } from "./format.js";
import { Images } from "./images.js";
import { Job } from "./job.js";
import { firstModel, ModelField, uncounted } from "./modelfield.js";
import { Picker } from "./picker.js";
import { Settings } from "./settings.js";
import { Tiles } from "./tiles.js";

const PARTS = {
  "Top half": (row, column, height) => row >= height / 2,
  "Bottom half": (row, column, height) => row < height / 2,
  "Left half": (row, column, height, width) => column >= width / 2,
  "Right half": (row, column, height, width) => column < width / 2,
  Everything: () => false,
  Nothing: () => true,
};

export class CompleteView {
  constructor(place, models, limits) {
    this.settings = new Settings({ count: 6, limits });
    const usable = models.filter((model) => model.usable);
    this.model = new ModelField(usable, { onchange: () => this.setModel() });
    this.model.choose(firstModel(usable).name);
    this.editor = new Editor("The image to complete", ["erase", "restore", "draw"], {
      onchange: () => this.count(),
    });
    this.picker = new Picker((images, label) => this.pick(images, label));
    this.tiles = new Tiles("Completion");
    this.error = el("p", { class: "error", role: "alert" });
    this.editorError = el("p", { class: "error", role: "alert" });
    this.erased = el("p", { class: "hint" });
    this.status = el("p", { class: "status", role: "status" });
    this.verdict = el("p", { class: "verdict" });
    this.results = el("div", { class: "results", hidden: true });
    const start = el("button", { type: "submit", class: "main" }, "Complete");
    const stop = button("Stop", () => {});
    place.append(el("div", { class: "columns" }, this.form(start, stop), this.right()));
    this.job = new Job(this.status, start, stop);
    this.fields = new Fields([this.model, ...this.settings.fields], this.error);
    this.setModel();
  }

  form(start, stop) {
    const submit = (event) => {
      event.preventDefault();
      this.complete();
    };
    const run = el("div", { class: "run" }, start, stop);
    const inputs = [this.model.node, ...this.settings.nodes()];
    return el("form", { novalidate: true, submit }, inputs, run, this.error);
  }

  right() {
    this.results.append(
      this.verdict,
      saveButtons("completions", ["png", "npy", "gif"], () => this.images),
    );
    const halves = Object.entries(PARTS).map(([words, known]) =>
      button(words, () => this.erase(known)),
    );
    const erase = el("div", { class: "save" }, el("span", {}, "Erase"), halves);
    const made = [this.status, this.tiles.node, this.results];
    this.editor.node.append(erase, this.erased, this.editorError);
    const sides = [this.editor.node, el("div", { class: "output" }, made)];
    return el("div", {}, this.picker.node, el("div", { class: "sides" }, sides));
  }

  setModel() {
    this.settings.setModel(this.model.model);
    this.editor.setModel(this.model.model);
    return this.picker.setModel(this.model.model);
  }

  pick(images, label) {
    this.editor.setImage(images);
    if (label !== null) this.settings.classField.value = label;
    this.erase(PARTS["Bottom half"]);
  }

  erase(known) {
    const { height, width } = this.editor.images;
    this.editor.setKnown((row, column) => known(row, column, height, width));
  }

  count() {
    this.editorError.textContent = "";
    this.erased.textContent = `${several(this.editor.erased, "pixel")} erased.`;
  }

  async complete() {
    if (!this.fields.check()) return;
    if (!this.editor.erased) {
      this.editorError.textContent = "Erase a pixel or more: there is nothing to complete.";
      return;
    }
    this.results.hidden = true;
    const known = this.editor.known.slice();
    const source = this.editor.images.one(0);
    const body = { model: this.model.value, ...this.settings.body() };
    Object.assign(body, { image: source.packOne(), known: encode(known) });
    try {
      const done = await this.job.run("api/complete", body, this.painter(source, known));
      if (done) this.finish(done);
    } catch (refusal) {
      this.fields.blame(refusal);
    }
  }

  /** Which known pixels a filled one depends on. */
  reach() {
    const order =
      "Images are read from the top left, so a filled pixel depends on known ones above it and " +
      "to its left, not on those that come later";
    if (!uncounted(this.model.model)) return `${order}.`;
    return `${order}, save by a code made of the known pixels, which is not counted here.`;
  }

  /** Show rows as they come; what is known is there from the start. */
  painter(source, known) {
    const onstart = (images) => {
      for (let at = 0; at < images.data.length; at += source.data.length) {
        images.data.set(source.data, at);
      }
      this.tiles.show(images, 0, known);
    };
    return { onstart, onrow: (images, rows) => this.tiles.paint(images, rows, known) };
  }

  finish(done) {
    this.images = Images.unpack(done.images);
    this.tiles.show(this.images);
    this.tiles.caption(done.nats_filled.map(nats));
    this.job.say(`${several(this.images.count, "completion")} in ${number(done.seconds, 2)} s.`);
    this.verdict.textContent =
      `The known pixels cost the model ${range(done.nats_known)}, the filled ones what stands ` +
      `below each image. Fewer nats: more expected. ${this.reach()}`;
    this.results.hidden = false;
  }
}

function range(values) {
  const all = [values].flat();
  const [least, most] = [Math.min(...all), Math.max(...all)];
  return most - least < 0.05 ? nats(least) : `${number(least, 1)} to ${nats(most)}`;
}
