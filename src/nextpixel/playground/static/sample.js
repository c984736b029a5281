/** The view Sample: an image that draws itself pixel by pixel, a wall of others row by row. */

import { read, write } from "./address.js";
import { post, Refusal } from "./api.js";
import { button, el } from "./dom.js";
import { saveButtons } from "./download.js";
import { Fields } from "./fields.js";
import { nats, number, several, sum } from "./format.js";
import { Images } from "./images.js";
import { Insight } from "./insight.js";
import { Job } from "./job.js";
import { firstModel, ModelField, uncounted } from "./modelfield.js";
import { patiently } from "./patient.js";
import { kept, Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Tiles } from "./tiles.js";

const WALL = 100;
const PAUSE = 2500; // milliseconds for which a finished image stays before the next draws itself

export class SampleView {
  /**
   * @param {HTMLElement} place where it goes
   * @param {Object[]} models
   * @param {Object} limits
   */
  constructor(place, models, limits) {
    this.settings = new Settings({ count: WALL, limits, onchange: () => this.draw() });
    const drawable = models.filter((model) => model.usable);
    this.model = new ModelField(drawable, { onchange: () => this.setModel() });
    this.model.choose(firstModel(drawable).name);
    this.stage = new Stage(() => this.goOn());
    this.tiles = new Tiles("Drawn image", (index) => this.pick(index));
    this.error = el("p", { class: "error", role: "alert" });
    this.status = el("p", { class: "status", role: "status" });
    this.verdict = el("p", { class: "verdict" });
    this.command = el("code");
    this.folder = el("span");
    const stop = button("Stop", () => {});
    this.results = el("div", { class: "results", hidden: true });
    place.append(this.pictures(), this.form(stop), this.below());
    this.job = new Job(this.status, stop);
    this.fields = new Fields([this.model, ...this.settings.fields], this.error);
    this.restore();
  }

  pictures() {
    const wall = el("div", { class: "output" }, this.tiles.node, this.status);
    return el("div", { class: "gallery" }, this.stage.node, wall);
  }

  form(stop) {
    const start = el("button", { type: "submit", class: "main" }, "Draw");
    const run = el("div", { class: "run" }, start, stop);
    const submit = (event) => {
      event.preventDefault();
      this.draw();
    };
    const inputs = [this.model.node, ...this.settings.nodes()];
    return el("form", { novalidate: true, class: "controls", submit }, inputs, run, this.error);
  }

  below() {
    this.results.append(
      this.verdict,
      saveButtons("samples", ["png", "npy", "gif"], () => this.images),
      el("p", { class: "hint" }, "The same from the command line: ", this.command, this.folder),
    );
    return this.results;
  }

  setModel() {
    this.settings.setModel(this.model.model);
    this.draw();
  }

  /** Draw what the address says. */
  restore() {
    const address = read("sample");
    this.model.choose(address.get("model") ?? this.model.value);
    this.settings.setModel(this.model.model);
    this.settings.classField.value = ""; // each class in turn, where there is that choice
    this.settings.take(address);
    this.draw(Number(address.get("image") ?? 1) - 1);
  }

  /** Draw images, the large one that of a number, from 0. */
  async draw(index = 0) {
    if (!this.fields.check()) return;
    this.results.hidden = true;
    this.images = null;
    const body = { model: this.model.value, ...this.settings.body() };
    const { model } = this.model;
    try {
      const done = await this.job.run("api/sample", body, {
        onstart: (images) => this.tiles.show(images, 0),
        onrow: (images, rows) => this.show(images, rows),
      });
      if (done) await this.finish(done, { body, model }, index);
    } catch (refusal) {
      this.fields.blame(refusal);
    }
  }

  show(images, rows) {
    this.tiles.paint(images, rows);
    this.stage.preview(images, rows);
  }

  async finish(done, drawn, index) {
    this.drawn = drawn;
    this.images = Images.unpack(done.images);
    this.tiles.show(this.images);
    this.tiles.caption(done.nats.map(nats));
    this.job.say(`${several(this.images.count, "image")} in ${number(done.seconds, 2)} s.`);
    const mean = (values) => sum(values) / values.length;
    this.verdict.textContent =
      `The model gives these images ${nats(mean(done.nats))} each on average ` +
      `(a nat is 1.44 bits), ${number(mean(done.bits_per_dim), 3)} bits a value. Fewer nats: ` +
      `a picture that it expected more.${codeNote(drawn.model)}`;
    this.command.textContent = commandLine(drawn.body, drawn.model);
    this.folder.textContent = folderNote(drawn.model);
    this.results.hidden = false;
    await this.pick(index < this.images.count ? Math.max(0, index) : 0);
  }

  /** Let one of the images draw itself large. */
  async pick(index) {
    const { images } = this;
    if (!images) return; // they are still being drawn
    const image = images.one(index);
    this.index = index;
    this.tiles.mark(index);
    this.keep();
    const [insight, note] = await this.insightOf(image, index);
    if (images === this.images && index === this.index) this.stage.show(image, insight, note);
  }

  /** What the model said at each pixel, or why that is not known. */
  async insightOf(image, index) {
    const { body, model } = this.drawn;
    if (uncounted(model)) return [null, "Drawn given a code, which is not shown."];
    const label = model.classes ? (body.label ?? index % model.classes) : null;
    const asked = { model: model.name, image: image.packOne(), label };
    try {
      const answer = await patiently(
        () => post("api/inspect", asked),
        (words) => this.job.say(words),
      );
      return [new Insight(answer, image), narrowed(body)];
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      return [null, refusal.message];
    }
  }

  /** After an image the next one, while the view is seen. */
  goOn() {
    const { index, images } = this;
    setTimeout(() => {
      const same = images && images === this.images && index === this.index;
      if (same && this.stage.playing && this.stage.seen) this.pick((index + 1) % images.count);
    }, PAUSE);
  }

  /** Keep in the address what is shown. */
  keep() {
    const image = this.index ? this.index + 1 : null;
    write("sample", { model: this.drawn.model.name, ...kept(this.drawn.body), image });
  }
}

/** What the bars leave out. */
function narrowed({ temperature, top_k: topK, top_p: topP }) {
  const plain = temperature === 1 && topK === null && topP === null;
  return plain ? "" : "The bars are the model's own; temperature and limits changed them.";
}

/** What to type for the same images. */
function commandLine(body, { argument }) {
  const { count, label, temperature, top_k: topK, top_p: topP, seed } = body;
  const options = { label, count, temperature, "top-k": topK, "top-p": topP, seed };
  if (temperature === 1) options.temperature = null;
  const chosen = Object.entries(options).filter(([, value]) => value !== null);
  const words = chosen.map(([option, value]) => ` --${option} ${value}`);
  return `nextpixel sample ${argument ?? "FOLDER"}${words.join("")} --out samples.png`;
}

/** Where the command finds the model. */
function folderNote({ argument, shipped }) {
  if (shipped) return "";
  return argument === null
    ? ", with the model's folder for FOLDER"
    : ", in the folder where the server was started";
}

/** A sentence on the code that images are sampled from, for models that take one. */
function codeNote(model) {
  const code = uncounted(model);
  return code && ` Not counted: ${code}, here a test image.`;
}
