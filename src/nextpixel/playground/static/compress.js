/** The view Compress: images into an archive of about the model's bits, and back. */

import { fetchFile, get, send, wordsOf } from "./api.js";
import { decode } from "./bytes.js";
import { button, el, refill } from "./dom.js";
import { save, saveButtons } from "./download.js";
import { DropField } from "./fields.js";
import { bytes, number, several } from "./format.js";
import { Images } from "./images.js";
import { ClassField, ModelField } from "./modelfield.js";
import { sizeBars } from "./sizes.js";
import { Tiles } from "./tiles.js";

const TRIAL = 100; // test images, for those without a file at hand
const ACCEPTED = ".png,.npy,image/png";

export class CompressView {
  constructor(place, models) {
    const able = models.filter(({ condition }) => condition !== "other");
    this.model = new ModelField(able, { onchange: () => this.setModel() });
    this.classField = new ClassField({
      hint: "The class of the images; the archive keeps it.",
      open: "the cheapest for each image",
      unknown: false,
    });
    this.files = new DropField("files", "Images", {
      accept: ACCEPTED,
      several: true,
      hint: "Drop PNGs of the model's size, a folder of them, or a .npy of levels.",
      onfiles: (files) => this.compress(files),
    });
    this.archive = new DropField("archive", "Archive", {
      accept: ".npx",
      hint: "Drop an archive made with the model above, and get its images back.",
      onfiles: ([file]) => file && this.decompress(file),
    });
    this.status = el("p", { class: "status", role: "status" });
    this.made = el("div", { class: "output" });
    this.back = el("div", { class: "output" });
    place.append(el("div", { class: "columns" }, this.inputs(), this.outputs()));
    this.setModel();
  }

  inputs() {
    const trial = button(`Try ${TRIAL} test images`, () => this.tryTestImages());
    const fields = [this.model, this.classField, this.files].map(({ node }) => node);
    return el("div", { class: "form" }, fields, trial, this.archive.node);
  }

  outputs() {
    return el("div", {}, this.status, this.made, this.back);
  }

  /** What was made with another model is of no use with this one. */
  setModel() {
    this.classField.setModel(this.model.model);
    this.files.clear();
    this.archive.clear();
    refill(this.made);
    refill(this.back);
  }

  /** Test images as the file that a reader could have dropped. */
  async tryTestImages() {
    await this.work(this.files, "Fetching test images…", async () => {
      const name = encodeURIComponent(this.model.value);
      const { images } = await get(`api/models/${name}/images?start=0&count=${TRIAL}`);
      const blob = await fetchFile("api/export", { images, format: "npy" });
      await this.ask([new File([blob], "test-images.npy")]);
    });
  }

  async compress(files) {
    const pictures = files.filter(({ name }) => /\.(png|npy)$/i.test(name));
    if (!pictures.length) {
      this.files.fail("There is no .png and no .npy among these files.");
      return;
    }
    await this.work(this.files, `Compressing ${several(pictures.length, "file")}…`, () =>
      this.ask(pictures),
    );
  }

  async ask(files) {
    const model = this.model.value;
    const { chosen } = this.classField;
    const label = chosen === null ? [] : [["label", chosen]];
    const parts = [["model", model], ...label, ...files.map((file) => ["files", file])];
    const begin = performance.now();
    const answer = await send("api/compress", parts);
    this.showArchive(answer, model, (performance.now() - begin) / 1000);
  }

  showArchive(answer, model, seconds) {
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
    const words =
      `${several(answer.count, "image")} in ${bytes(answer.bytes)}, ` +
      `${number(answer.bits_per_dim, 4)} bits a value, in ${number(seconds, 1)} s. ` +
      `${bytes(answer.bytes - ideal)} more than the model's own bits: header and rounding.` +
      (answer.png_bytes ? ` PNG takes ${ratio} times as much.` : "");
    const buttons = [button("Download the archive", keep), button("Read it back", again)];
    refill(this.back);
    const verdict = el("p", { class: "verdict" }, words);
    refill(this.made, verdict, sizeBars(rows), el("div", { class: "save" }, buttons));
  }

  async decompress(file) {
    await this.work(this.archive, "Reading the archive…", async () => {
      const parts = [["model", this.model.value], ["archive", file]];
      const { images } = await send("api/decompress", parts);
      this.showImages(Images.unpack(images));
    });
  }

  showImages(images) {
    const tiles = new Tiles("Image read back");
    tiles.node.classList.add("small");
    tiles.show(images);
    const words = `${several(images.count, "image")}, every pixel as it was.`;
    const buttons = saveButtons("images", ["png", "npy"], () => images);
    refill(this.back, el("p", { class: "verdict" }, words), buttons, tiles.node);
  }

  /** Do something long for a field: say what, and show what goes wrong at the field. */
  async work(field, words, action) {
    field.clear();
    this.status.textContent = words;
    this.status.parentElement.setAttribute("aria-busy", "true");
    try {
      await action();
    } catch (error) {
      field.fail(wordsOf(error));
    }
    this.status.textContent = "";
    this.status.parentElement.setAttribute("aria-busy", "false");
    field.control.value = "";
  }
}
