/** Images side by side, each on a canvas with a line of words below. */

import { el, refill } from "./dom.js";
import { paintImage } from "./paint.js";

export class Tiles {
  /** @param {string} label what the images are, for those who do not see them */
  constructor(label) {
    this.label = label;
    this.node = el("div", { class: "tiles", role: "group", "aria-label": label });
    this.canvases = [];
    this.captions = [];
  }

  /** Make room for the images, and show them up to row `rows`, or where `known` (H, W). */
  show(images, rows = images.height, known = null) {
    const numbers = Array.from({ length: images.count }, (_, index) => index);
    this.canvases = numbers.map((index) =>
      el("canvas", { role: "img", "aria-label": `${this.label}, ${index + 1} of ${images.count}` }),
    );
    this.captions = numbers.map(() => el("figcaption"));
    const figures = numbers.map((i) => el("figure", {}, this.canvases[i], this.captions[i]));
    refill(this.node, figures);
    this.paint(images, rows, known);
  }

  /** Paint again; as `show`. */
  paint(images, rows = images.height, known = null) {
    this.canvases.forEach((canvas, index) => paintImage(canvas, images, index, rows, known));
  }

  /** Words below each image. */
  caption(texts) {
    texts.forEach((text, index) => {
      this.captions[index].textContent = text;
    });
  }

  clear() {
    refill(this.node);
  }
}
