/** Images side by side, each on a canvas with a line of words below. */

import { button, el, refill } from "./dom.js";
import { paintImage } from "./paint.js";

const MANY = 25; // images from which on they form a wall of ten a row
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10 };

export class Tiles {
  /**
   * @param {string} label what the images are, for those who do not see them
   * @param {function(number)|null} onpick called with the number of an image that is pressed
   */
  constructor(label, onpick = null) {
    Object.assign(this, { label, onpick });
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
    const faces = this.onpick ? numbers.map((i) => this.key(i)) : this.canvases;
    const figures = numbers.map((i) => el("figure", {}, faces[i], this.captions[i]));
    this.node.classList.toggle("ten", images.count > MANY);
    refill(this.node, figures);
    this.paint(images, rows, known);
  }

  /** Paint again; as `show`. */
  paint(images, rows = images.height, known = null) {
    this.canvases.forEach((canvas, index) => paintImage(canvas, images, index, rows, known));
  }

  /** One stop of the tab key for all of them; arrows lead from one to the next. */
  key(index) {
    const pick = () => this.onpick(index);
    const keydown = (event) => this.go(index + (STEPS[event.key] ?? 0), event);
    return button(this.canvases[index], pick, { keydown, tabindex: index ? -1 : 0 });
  }

  go(index, event) {
    if (!(event.key in STEPS) || !this.canvases[index]) return;
    event.preventDefault();
    this.canvases[index].parentElement.focus();
  }

  /** Mark one image as the chosen one. */
  mark(index) {
    this.canvases.forEach((canvas, i) => {
      canvas.parentElement.setAttribute("aria-pressed", String(i === index));
      canvas.parentElement.tabIndex = i === index ? 0 : -1;
    });
  }

  /** Words below each image; of many, where they are pointed at. */
  caption(texts) {
    const many = texts.length > MANY;
    texts.forEach((text, index) => {
      const name = `${this.label}, ${index + 1} of ${texts.length}: ${text}`;
      this.canvases[index].setAttribute("aria-label", name);
      if (many) this.canvases[index].title = text;
      else this.captions[index].textContent = text;
    });
  }

  clear() {
    refill(this.node);
  }
}
