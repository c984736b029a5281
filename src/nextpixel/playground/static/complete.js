/** The view Complete: erase pixels of an image, and let a model draw them again in all its ways. */

import { read, write } from "./address.js";
import { encode } from "./bytes.js";
import { button, el, refill } from "./dom.js";
import { saveButtons } from "./download.js";
import { Editor } from "./editor.js";
import { Fields } from "./fields.js";
import { number, several } from "./format.js";
import { Images } from "./images.js";
import { Job } from "./job.js";
import { firstModel, ModelField, uncounted } from "./modelfield.js";
import { Picker } from "./picker.js";
import { kept, Settings } from "./settings.js";
import { Way } from "./way.js";

const PARTS = {
  "Top half": (row, column, height) => row >= height / 2,
  "Bottom half": (row, column, height) => row < height / 2,
  "Left half": (row, column, height, width) => column >= width / 2,
  "Right half": (row, column, height, width) => column < width / 2,
  Everything: () => false,
  Nothing: () => true,
};
const FIRST = { one: "Bottom half", several: "Top half" }; // by how many ways a model has

export class CompleteView {
  constructor(place, models, limits) {
    this.limits = limits;
    this.settings = new Settings({ count: 6, limits, onchange: () => this.complete() });
    const usable = models.filter((model) => model.usable);
    this.model = new ModelField(usable, { onchange: () => this.change() });
    const able = [...usable].sort((one, other) => other.ways.length - one.ways.length)[0];
    this.model.choose((able.ways.length > 2 ? able : firstModel(usable)).name);
    this.editor = new Editor("The image to complete", ["erase", "restore", "draw"], {
      onchange: () => this.count(),
    });
    this.picker = new Picker((images, label) => this.pick(images, label));
    this.error = el("p", { class: "error", role: "alert" });
    this.editorError = el("p", { class: "error", role: "alert" });
    this.erased = el("p", { class: "hint" });
    this.status = el("p", { class: "status", role: "status" });
    this.results = el("div", { class: "results", hidden: true });
    this.ways = el("div", { class: "ways" });
    const stop = button("Stop", () => {});
    place.append(this.picker.node, this.sides(stop), this.form());
    this.job = new Job(this.status, stop);
    this.fields = new Fields([this.model, ...this.settings.fields], this.error);
    this.restore();
  }

  /** Another model: begin anew with it. */
  async change() {
    this.ready = false;
    await this.setModel();
    this.ready = true;
    this.complete();
  }

  form() {
    const submit = (event) => {
      event.preventDefault();
      this.complete();
    };
    const inputs = [...this.settings.nodes(), this.error];
    const hidden = el("button", { type: "submit", hidden: true });
    return el("form", { novalidate: true, class: "controls", submit }, inputs, hidden);
  }

  sides(stop) {
    this.results.append(
      el("p", { class: "verdict" }),
      saveButtons("completions", ["png", "npy", "gif"], () => this.images),
    );
    const erase = Object.keys(PARTS).map((words) => button(words, () => this.erase(words)));
    const start = button("Complete", () => this.press(), { class: "main" });
    this.editor.tools.node.before(
      el("div", { class: "save" }, el("span", {}, "Erase"), erase),
      this.erased,
      this.editorError,
    );
    const run = el("div", { class: "run" }, start, stop);
    const chosen = el("div", { class: "chosen" }, this.model.node, run);
    this.output = el("div", { class: "output" }, chosen, this.status, this.ways, this.results);
    return el("div", { class: "gallery" }, this.editor.node, this.output);
  }

  /** Show what the address says, and complete it. */
  async restore() {
    const address = read("complete");
    this.model.choose(address.get("model") ?? this.model.value);
    this.ready = false;
    this.wanted = address.get("erase");
    this.picker.model = null; // so that it picks what the address says
    const image = Math.floor(Number(address.get("image") ?? 1));
    await this.setModel(image > 0 ? image - 1 : 0);
    this.settings.take(address);
    this.ready = true;
    this.complete();
  }

  setModel(image = 0) {
    const { model } = this.model;
    this.job.cancel();
    this.settings.setModel(model);
    this.editor.setModel(model);
    this.rows = model.ways.map((way) => new Way(way, model, this.limits));
    refill(
      this.ways,
      this.rows.map((row) => row.node),
    );
    this.results.hidden = true;
    return this.picker.setModel(model, image);
  }

  pick(images, label) {
    const part = this.wanted ?? this.part;
    this.wanted = null;
    this.editor.setImage(images);
    if (label !== null) this.settings.classField.value = label;
    const first = this.rows.length > 1 ? FIRST.several : FIRST.one;
    this.erase(Object.hasOwn(PARTS, part ?? "") ? part : first);
    if (this.ready) this.complete();
  }

  erase(part) {
    const { height, width } = this.editor.images;
    this.editor.setKnown((row, column) => PARTS[part](row, column, height, width));
    this.part = part;
  }

  count() {
    this.part = null;
    this.forget();
    this.editorError.textContent = "";
    this.erased.textContent = `${several(this.editor.erased, "pixel")} erased.`;
  }

  /** Completions of another image, or of other missing pixels, go. */
  forget() {
    this.job.cancel();
    this.job.say("");
    this.results.hidden = true;
    this.rows.forEach((row) => row.clear());
  }

  async complete() {
    if (!this.fields.check() || !this.editor.images) return;
    if (!this.editor.erased) {
      this.editorError.textContent = "Erase a pixel or more: there is nothing to complete.";
      return;
    }
    const source = this.editor.images.one(0);
    const known = this.editor.known.slice();
    const asked = { model: this.model.value, ...this.settings.body() };
    Object.assign(asked, { image: source.packOne(), known: encode(known) });
    this.begin();
    try {
      const done = await this.each(asked, source, known);
      if (done.every(Boolean)) this.finish(done);
    } catch (refusal) {
      this.fields.blame(refusal);
    }
  }

  /** On a small screen the completions are further down. */
  press() {
    this.complete();
    const { top } = this.output.getBoundingClientRect();
    if (top > window.innerHeight) this.output.scrollIntoView({ block: "start" });
  }

  begin() {
    this.results.hidden = true;
    this.keep();
    for (const row of this.rows) row.clear();
  }

  /** One way after the other; the last event of each, or null from where it was stopped. */
  async each(asked, source, known) {
    const { rows } = this;
    const done = [];
    for (const row of [...rows].reverse()) {
      if (!row.takes(asked)) continue;
      const on = row.painter(source, known);
      const last = await this.job.run("api/complete", { ...asked, way: row.way }, on);
      if (!last || rows !== this.rows) return [null];
      row.finish(last);
      done.push(last);
    }
    return done;
  }

  finish(done) {
    const made = done.map(({ images }) => Images.unpack(images));
    this.images = made.reduce((all, images) => all.with(images));
    const seconds = done.reduce((total, { seconds: part }) => total + part, 0);
    this.job.say(`${several(this.images.count, "completion")} in ${number(seconds, 2)} s.`);
    this.results.firstChild.textContent = this.verdict(done);
    this.results.hidden = false;
  }

  /** What the figures say. */
  verdict([{ nats_given: given }]) {
    const code = uncounted(this.model.model);
    const words = "They also depend on a code made of the known pixels, which is not counted.";
    const note = code ? ` ${words}` : "";
    if (!given) return `Below each image: what the filled pixels cost in the scan.${note}`;
    return (
      "Below each image: what its filled pixels cost given all that is known, in nats (a nat is " +
      "1.44 bits). Fewer: likelier, so a better completion by the model's own measure."
    );
  }

  keep() {
    const { number: image } = this.picker;
    write("complete", {
      model: this.model.value,
      image: image ? image + 1 : null,
      erase: this.part,
      ...kept(this.settings.body()),
    });
  }
}
