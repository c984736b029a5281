/** The view Sample: images drawn from a model, row by row as they come. */

import { button, el } from "./dom.js";
import { saveButtons } from "./download.js";
import { Fields } from "./fields.js";
import { nats, number, several, sum } from "./format.js";
import { Images } from "./images.js";
import { Job } from "./job.js";
import { firstModel, ModelField, uncounted } from "./modelfield.js";
import { Settings } from "./settings.js";
import { Tiles } from "./tiles.js";

export class SampleView {
  /**
   * @param {HTMLElement} place where it goes
   * @param {Object[]} models
   * @param {Object} limits
   */
  constructor(place, models, limits) {
    this.settings = new Settings({ count: 16, limits });
    const drawable = models.filter((model) => model.usable);
    this.model = new ModelField(drawable, { onchange: () => this.setModel() });
    this.model.choose(firstModel(drawable).name);
    this.tiles = new Tiles("Drawn image");
    this.error = el("p", { class: "error", role: "alert" });
    this.status = el("p", { class: "status", role: "status" });
    this.verdict = el("p", { class: "verdict" });
    this.command = el("code");
    const start = el("button", { type: "submit", class: "main" }, "Draw");
    const stop = button("Stop", () => {});
    this.results = el("div", { class: "results", hidden: true });
    place.append(el("div", { class: "columns" }, this.form(start, stop), this.right()));
    this.job = new Job(this.status, start, stop);
    this.fields = new Fields([this.model, ...this.settings.fields], this.error);
    this.job.say("Nothing is drawn yet.");
    this.setModel();
  }

  form(start, stop) {
    const run = el("div", { class: "run" }, start, stop);
    const submit = (event) => {
      event.preventDefault();
      this.draw();
    };
    const inputs = [this.model.node, ...this.settings.nodes()];
    return el("form", { novalidate: true, submit }, inputs, run, this.error);
  }

  right() {
    this.results.append(
      this.verdict,
      saveButtons("samples", ["png", "npy", "gif"], () => this.images),
      el("p", { class: "hint" }, "The same from the command line: ", this.command),
    );
    return el("div", { class: "output" }, this.status, this.tiles.node, this.results);
  }

  setModel() {
    this.settings.setModel(this.model.model);
  }

  async draw() {
    if (!this.fields.check()) return;
    this.results.hidden = true;
    const body = { model: this.model.value, ...this.settings.body() };
    try {
      const done = await this.job.run("api/sample", body, {
        onstart: (images) => this.tiles.show(images, 0),
        onrow: (images, rows) => this.tiles.paint(images, rows),
      });
      if (done) this.finish(done, body);
    } catch (refusal) {
      this.fields.blame(refusal);
    }
  }

  finish(done, body) {
    this.images = Images.unpack(done.images);
    this.tiles.show(this.images);
    this.tiles.caption(done.nats.map(nats));
    this.job.say(`${several(this.images.count, "image")} in ${number(done.seconds, 2)} s.`);
    const mean = (values) => sum(values) / values.length;
    this.verdict.textContent =
      `The model gives these images ${nats(mean(done.nats))} each on average, ` +
      `${number(mean(done.bits_per_dim), 3)} bits a value. Fewer nats: a picture that it ` +
      `expected more.${codeNote(this.model.model)}`;
    this.command.textContent = commandLine(body, this.model.model);
    this.results.hidden = false;
  }
}

/** What to type for the same images. */
function commandLine(body, { name, shipped }) {
  const { count, label, temperature, top_k: topK, top_p: topP, seed } = body;
  const options = { label, count, temperature, "top-k": topK, "top-p": topP, seed };
  if (temperature === 1) options.temperature = null;
  const chosen = Object.entries(options).filter(([, value]) => value !== null);
  const words = chosen.map(([name, value]) => ` --${name} ${value}`);
  return `nextpixel sample ${shipped ? "" : "path/to/"}${name}${words.join("")} --out samples.png`;
}

/** A sentence on the code that images are sampled from, for models that take one. */
function codeNote(model) {
  const code = uncounted(model);
  return code && ` Not counted: ${code}, here a test image.`;
}
