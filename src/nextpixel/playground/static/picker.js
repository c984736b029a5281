/** Where an image comes from: a test image of the model's data, an upload, or a blank. */

import { events, get, send, wordsOf } from "./api.js";
import { button, el, refill } from "./dom.js";
import { Field } from "./fields.js";
import { Images } from "./images.js";
import { paintImage } from "./paint.js";

const PAGE = 10;

export class Picker {
  /** @param {function(Images, number|null)} onpick called with one image, and its class if known */
  constructor(onpick) {
    this.onpick = onpick;
    this.start = 0;
    this.strip = el("div", { class: "strip", role: "group", "aria-label": "Test images" });
    this.error = el("p", { class: "error", role: "alert" });
    this.earlier = button("Earlier", () => this.page(-PAGE));
    this.later = button("Later", () => this.page(PAGE));
    this.where = el("span", { class: "hint", role: "status" });
    this.upload = this.uploadField();
    const blank = button("A blank, to draw on", () => this.blank());
    this.turn = el("div", { class: "inline" }, this.earlier, this.where, this.later);
    const others = el("div", { class: "sources" }, this.upload.node, blank);
    this.node = el("div", { class: "picker" }, this.strip, this.turn, this.error, others);
  }

  uploadField() {
    const file = el("input", { type: "file", accept: "image/*,.npy", change: () => this.send() });
    const hint = "Made to fit the model: scaled, and brought to its levels.";
    return new Field("file", "Your own picture", file, { hint });
  }

  /**
   * Offer images that fit a model, and pick one, unless those at hand fit already.
   * @param {Object} model
   * @param {number} number of the test image, from 0
   * @returns {Promise<boolean>} whether it picked one
   */
  async setModel(model, number = 0) {
    const fits = this.model && sameSet(this.model, model);
    this.model = model;
    if (!fits) await this.pick(number);
    return !fits;
  }

  /** Pick a test image by its number, from 0; none where there are not so many. */
  async pick(number) {
    await this.load(PAGE * Math.floor(number / PAGE), number % PAGE);
  }

  /** Pick the test image after the one picked last. */
  next() {
    return this.pick(((this.number ?? -1) + 1) % (this.total ?? 1));
  }

  page(step) {
    return this.load(this.start + step);
  }

  async load(start, index = 0) {
    this.error.textContent = "";
    this.drawn = false;
    const { model } = this;
    const path = `api/models/${encodeURIComponent(model.name)}/images?start=${start}&count=${PAGE}`;
    try {
      const answer = await get(path);
      if (sameSet(model, this.model)) this.offer(answer, start, index);
    } catch (error) {
      refill(this.strip);
      if (error.status === 404) await this.draw(model);
      else this.error.textContent = wordsOf(error);
      if (this.model === model && !this.drawn) this.blank();
    }
    this.turn.hidden = !this.strip.children.length;
  }

  /** Where a model's data are not here: an image that it draws. */
  async draw(model) {
    for await (const event of events("api/sample", { model: model.name, count: 1 })) {
      if (event.event !== "done" || this.model !== model) continue;
      this.drawn = true;
      this.mark(null);
      this.onpick(Images.unpack(event.images), null);
    }
  }

  offer({ images, labels, total }, start, index) {
    this.total = total;
    this.start = start;
    this.images = Images.unpack(images);
    this.labels = labels;
    const last = start + this.images.count;
    this.where.textContent = `${start + 1} to ${last} of ${total}`;
    this.earlier.disabled = start === 0;
    this.later.disabled = last >= total;
    refill(
      this.strip,
      Array.from({ length: this.images.count }, (_, i) => this.thumbnail(i)),
    );
    this.choose(Math.min(index, this.images.count - 1));
  }

  thumbnail(index) {
    const canvas = el("canvas", { "aria-hidden": "true" });
    paintImage(canvas, this.images, index);
    const label = this.labels ? `, class ${this.labels[index]}` : "";
    const words = `Test image ${this.start + index + 1}${label}`;
    const choose = () => this.choose(index);
    return button(canvas, choose, { "aria-label": words, title: words });
  }

  choose(index) {
    this.mark(index);
    this.onpick(this.images.one(index), this.labels?.[index] ?? null);
  }

  mark(index) {
    this.number = index === null ? null : this.start + index;
    [...this.strip.children].forEach((node, i) =>
      node.setAttribute("aria-pressed", String(i === index)),
    );
  }

  blank() {
    this.mark(null);
    this.onpick(Images.blank(1, this.model.shape, this.model.levels), null);
  }

  async send() {
    const [file] = this.upload.control.files;
    if (!file) return;
    this.upload.clear();
    try {
      const parts = [
        ["model", this.model.name],
        ["file", file],
      ];
      const { image, note } = await send("api/upload", parts);
      this.upload.setHint(note);
      this.mark(null);
      this.onpick(Images.unpack(image), null);
    } catch (error) {
      this.upload.fail(wordsOf(error));
    }
  }
}

/** Whether two models take the same images. */
export function sameImages(one, other) {
  const key = ({ shape, levels, data }) => JSON.stringify([shape, levels, data]);
  return key(one) === key(other);
}

/** Whether the test images of two models are the same, levels made alike. */
export function sameSet(one, other) {
  return sameImages(one, other) && one.protocol === other.protocol;
}
