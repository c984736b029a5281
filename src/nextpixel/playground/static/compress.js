/** The view Compress: images into an archive of about the model's bits, and back. */

import { read, write } from "./address.js";
import { events, fetchFile, formOf, get, Refusal, send, wordsOf } from "./api.js";
import { decode } from "./bytes.js";
import { button, el, refill } from "./dom.js";
import { save, saveButtons } from "./download.js";
import { DropField } from "./fields.js";
import { fitted } from "./fitting.js";
import { bytes, number, several } from "./format.js";
import { Images } from "./images.js";
import { ClassField, ModelField } from "./modelfield.js";
import { sizeBars } from "./sizes.js";
import { Tiles } from "./tiles.js";

const NAMES = /\.(png|npy|jpe?g|gif|bmp|webp)$/i;
const PHOTOGRAPHS = "photographs"; // a set that does not come with the package
const TRIAL = 100; // test images, for those without a file at hand

export class CompressView {
  constructor(place, models, limits) {
    this.limits = limits;
    const able = models.filter(({ condition }) => condition !== "other");
    this.model = new ModelField(able, { onchange: () => this.setModel() });
    this.model.choose(exampleOf(able).name);
    this.classField = new ClassField({
      hint: "The class of the images; the archive keeps it.",
      open: "the cheapest for each image",
      unknown: false,
    });
    this.files = new DropField("files", "Images", {
      accept: "image/*,.npy",
      several: true,
      hint: "Drop pictures, a folder of them, or a .npy of levels.",
      onfiles: (files) => this.compress(files),
    });
    this.archive = new DropField("archive", "Archive", {
      accept: ".npx",
      hint: "Drop an archive made with the model above, and get its images back.",
      onfiles: ([file]) => file && this.decompress(file),
    });
    this.stop = button("Stop", () => this.control?.abort());
    this.meter = el("progress", { max: 1, "aria-label": "Images compressed", hidden: true });
    this.status = el("p", { class: "status", role: "status" });
    this.source = new Tiles("Image to compress");
    this.made = el("div", { class: "output" });
    this.back = el("div", { class: "output" });
    place.append(el("div", { class: "columns" }, this.inputs(), this.outputs()));
    this.restore();
  }

  inputs() {
    this.trial = button(`Try ${TRIAL} test images`, () => this.tryTestImages());
    const fields = [this.model, this.classField, this.files].map(({ node }) => node);
    return el("div", { class: "form" }, fields, this.trial, this.archive.node);
  }

  outputs() {
    const going = el("div", { class: "run" }, this.meter, this.stop);
    const found = el("div", { class: "output" }, this.status, going, this.made);
    const sides = el("div", { class: "gallery" }, this.source.node, found);
    return el("div", {}, sides, this.back);
  }

  /** Compress an example at once, by the model that the address names. */
  restore() {
    const before = this.shown;
    this.model.choose(read("compress").get("model") ?? this.model.value);
    if (before !== this.model.value) this.setModel(); // else what is there stays
  }

  /** What was made with another model is of no use with this one. */
  setModel() {
    this.control?.abort();
    this.shown = this.model.value;
    this.classField.setModel(this.model.model);
    this.files.clear();
    this.archive.clear();
    this.source.clear();
    refill(this.made);
    refill(this.back);
    write("compress", { model: this.model.value });
    const { data } = this.model.model;
    this.trial.hidden = !data || data === PHOTOGRAPHS;
    if (!this.trial.hidden) this.tryTestImages();
  }

  /** Test images as the file that a reader could have dropped. */
  async tryTestImages() {
    const { model } = this.model;
    await this.work(this.files, "Fetching test images\u2026", async (signal) => {
      const name = encodeURIComponent(model.name);
      const path = `api/models/${name}/images?start=0&count=${TRIAL}`;
      const { images } = await get(path, signal);
      this.source.show(Images.unpack(images));
      const blob = await fetchFile("api/export", { images, format: "npy" });
      await this.ask([new File([blob], "test-images.npy")], model, "Test images. ", signal);
    });
  }

  async compress(files) {
    const pictures = files.filter(
      ({ name, type }) => type.startsWith("image/") || NAMES.test(name),
    );
    if (!pictures.length) {
      this.files.fail("There is no picture and no .npy among these files.");
      return;
    }
    const { model } = this.model;
    this.source.clear();
    refill(this.made);
    refill(this.back);
    await this.work(this.files, "Reading the files\u2026", async (signal) => {
      const { files: chosen, words, images } = await fitted(pictures, model, this.limits);
      if (images) this.source.show(images);
      await this.ask(chosen, model, words && `${words} `, signal);
    });
  }

  async ask(files, model, note, signal) {
    const { chosen } = this.classField;
    const label = chosen === null ? [] : [["label", chosen]];
    const parts = [["model", model.name], ...label, ...files.map((file) => ["files", file])];
    let [count, answer] = [0, null];
    for await (const event of events("api/compress?progress=true", formOf(parts), signal)) {
      if (event.event === "error") throw new Refusal(event.message, event.field);
      if (event.event === "begun") count = event.images;
      if (event.event === "done") answer = event;
      this.tell(event, count, model);
    }
    if (!answer) throw new Refusal("The server ended before the archive was done.");
    this.showArchive(answer, model.name, note);
  }

  /** How far it is, in words and on the meter. */
  tell({ event, ahead, done }, count, { name }) {
    if (event === "queued")
      this.status.textContent = `Waiting: ${several(ahead, "job")} ahead\u2026`;
    const what = { begun: "Compressing", classified: "Finding classes of", chunk: "Compressing" }[
      event
    ];
    if (!what) return;
    this.meter.value = count ? (done ?? 0) / count : 0;
    this.status.textContent = `${what} ${several(count, "image")} with ${name}\u2026`;
  }

  showArchive(answer, model, note) {
    const data = decode(answer.archive);
    const keep = () => save(new Blob([data]), `${model}.npx`);
    const again = () => this.decompress(new File([data], `${model}.npx`));
    const ideal = Math.ceil(answer.ideal_bits / 8);
    const rows = [
      ["the model's own bits", ideal, "ours"],
      ["the archive", answer.bytes, "ours"],
      ...(answer.png_bytes ? [["as PNG", answer.png_bytes, "png"]] : []),
      ["their levels alone", answer.raw_bytes, "raw"],
    ];
    const ratio = number(answer.png_bytes / answer.bytes, 1);
    const more = answer.png_bytes > answer.bytes ? `${ratio} times as much` : "less";
    const png = answer.png_bytes ? ` PNG takes ${more}.` : "";
    const words =
      `${note}${several(answer.count, "image")} in ${bytes(answer.bytes)} by ${model}, ` +
      `${number(answer.bits_per_dim, 4)} bits a value, in ${number(answer.seconds, 1)} s. ` +
      `${bytes(answer.bytes - ideal)} more than the model's own bits: header and rounding.` +
      png;
    const buttons = [button("Download the archive", keep), button("Read it back", again)];
    refill(this.back);
    const verdict = el("p", { class: "verdict" }, words);
    refill(this.made, verdict, sizeBars(rows), el("div", { class: "save" }, buttons));
  }

  async decompress(file) {
    const model = this.model.value;
    await this.work(this.archive, "Reading the archive\u2026", async (signal) => {
      const parts = [
        ["model", model],
        ["archive", file],
      ];
      const { images } = await send("api/decompress", parts, signal);
      this.showImages(Images.unpack(images), model);
    });
  }

  showImages(images, model) {
    const tiles = new Tiles("Image read back");
    tiles.show(images);
    tiles.node.classList.add("small");
    const words = `${several(images.count, "image")}, every pixel as it was: by ${model}.`;
    const buttons = saveButtons("images", ["png", "npy"], () => images);
    refill(this.back, el("p", { class: "verdict" }, words), buttons, tiles.node);
  }

  /** Do something long for a field, which Stop ends; what goes wrong is said at the field. */
  async work(field, words, action) {
    this.control?.abort();
    const control = new AbortController();
    this.control = control;
    field.clear();
    this.busy(words);
    let said = "";
    try {
      await action(control.signal);
    } catch (error) {
      if (error.name !== "AbortError") field.fail(wordsOf(error));
      else if (this.control === control) said = "Stopped.";
    }
    if (this.control === control) this.busy("", said);
    field.control.value = "";
  }

  /** Show that something is under way, or with "" that nothing is. */
  busy(words, last = "") {
    this.status.textContent = words || last;
    this.meter.removeAttribute("value");
    this.meter.hidden = !words;
    this.stop.setAttribute("aria-disabled", String(!words)); // disabled, it would lose the focus
    this.status.parentElement.setAttribute("aria-busy", String(Boolean(words)));
  }
}

/** The model of the example: of gray images at all levels, where PNG is no straw man. */
function exampleOf(models) {
  const plain = models.filter(({ condition }) => condition === "none");
  return (
    plain.find(({ levels, shape }) => levels === 256 && shape[0] === 1) ?? plain[0] ?? models[0]
  );
}
