/** One way to complete an image: what it is, the completions made so, and what each costs. */

import { el } from "./dom.js";
import { nats, number, sum } from "./format.js";
import { Images } from "./images.js";
import { Tiles } from "./tiles.js";

const WORDS = {
  raster: [
    "In the raster order",
    "A missing pixel is informed by known ones above and left of it; later ones come too late.",
  ],
  best: ["Known pixels first", "The model takes an order that visits what is known first."],
  particles: [
    "By particles",
    "Many drafts are drawn along the scan; those that fit the known pixels are kept.",
  ],
};

export class Way {
  /**
   * @param {string} way as the server calls it
   * @param {Object} model
   * @param {Object} limits of the server
   */
  constructor(way, model, limits) {
    this.way = way;
    this.limits = limits;
    this.model = model;
    this.tiles = new Tiles("Completion");
    this.mean = el("p", { class: "hint" });
    const [title, words] = WORDS[way];
    const about = el("p", { class: "hint" }, words);
    this.node = el(
      "section",
      { class: "way" },
      el("h3", {}, title),
      about,
      this.tiles.node,
      this.mean,
    );
  }

  clear() {
    this.tiles.clear();
    this.mean.textContent = "";
  }

  /** Whether it can do what is asked; if not, it says so. */
  takes({ count, temperature, top_k: topK, top_p: topP }) {
    if (this.way !== "particles") return true;
    const plain = temperature === 1 && topK === null && topP === null;
    const few = count <= this.limits.weighed;
    if (!plain) this.mean.textContent = "Left out: particles weigh by the model's own chances.";
    else if (!few) this.mean.textContent = `Left out: at most ${this.limits.weighed} by particles.`;
    return plain && few;
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
    const costs = done.nats_given ?? done.nats_filled;
    this.tiles.show(Images.unpack(done.images));
    this.tiles.caption(costs.map(nats));
    const error = done.nats_given_error;
    const spread = error ? `, estimated to ${number(Math.max(0.1, error), 1)}` : "";
    this.mean.textContent = `${nats(sum(costs) / costs.length)} on average${spread}.`;
  }
}
