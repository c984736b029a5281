/** A picture that draws itself pixel by pixel, with the chances of the levels beside it. */

import { Chances } from "./chances.js";
import { button, el } from "./dom.js";
import { FIELD, UNKNOWN, colorOf, paintCells, paintImage } from "./paint.js";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const PACE = { rest: 0.2, bit: 2 }; // how long a pixel takes: longer where the model is unsure
const LONGEST = 0.1; // seconds that one frame may stand for

export class Stage {
  /** @param {function()} onend called when a picture has drawn itself to its end */
  constructor(onend) {
    Object.assign(this, { onend, at: 0, credit: 0, playing: !still.matches });
    this.canvas = el("canvas", { class: "stage", role: "img", "aria-label": "Nothing drawn yet" });
    this.where = el("h3");
    this.note = el("p", { class: "hint" });
    this.chances = new Chances();
    const beside = el("div", { class: "beside" }, this.where, this.chances.node, this.note);
    beside.append(...this.transport());
    this.node = el("div", { class: "staged" }, this.canvas, beside);
    new IntersectionObserver(([entry]) => this.setSeen(entry.isIntersecting)).observe(this.canvas);
  }

  transport() {
    this.play = button("", () => this.setPlaying(!this.playing));
    this.speed = el("input", { type: "range", min: 0, max: 3.5, step: 0.1, value: 1.8 });
    const step = button("Step", () => this.step());
    const again = button("Replay", () => this.replay());
    this.setPlaying(this.playing);
    return [
      el("div", { class: "run" }, this.play, step, again),
      el("label", { class: "inline" }, "Speed", this.speed),
    ];
  }

  /**
   * Draw an image from its first pixel on; where motion is not wanted, show it whole.
   * @param {Images} images the first of them
   * @param {Insight|null} insight what the model says of it; null: bars are not known
   * @param {string} note a word on that
   */
  show(images, insight, note = "") {
    Object.assign(this, { images, insight, at: 0, credit: 0 });
    this.note.textContent = note;
    this.chances.node.hidden = !insight;
    if (!this.playing) this.at = insight ? unsure(insight, images) : this.size - 1;
    this.canvas.setAttribute("aria-label", "An image that is drawn pixel by pixel");
    this.refresh();
    this.run();
  }

  /** Show the first rows of an image that is still being drawn. */
  preview(images, rows) {
    this.images = null;
    this.chances.node.hidden = true;
    this.where.textContent = `Row ${rows}`;
    paintImage(this.canvas, images, 0, rows);
  }

  get size() {
    return this.images.height * this.images.width;
  }

  get isDone() {
    return this.at >= this.size - 1;
  }

  setPlaying(playing) {
    this.playing = playing;
    this.play.textContent = playing ? "Pause" : "Play";
    if (playing && this.images && this.isDone) this.at = 0;
    this.run();
  }

  setSeen(seen) {
    this.seen = seen;
    if (seen && this.playing && this.images && this.isDone) this.onend();
    this.run();
  }

  step() {
    if (!this.images) return;
    this.setPlaying(false);
    this.at = this.isDone ? 0 : this.at + 1;
    this.refresh();
  }

  replay() {
    if (!this.images) return;
    this.at = 0;
    this.setPlaying(true);
  }

  run() {
    if (this.running || !this.playing || !this.seen || !this.images) return;
    this.running = true;
    this.last = performance.now();
    requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    this.running = false;
    if (!this.playing || !this.seen || !this.images || this.isDone) return;
    this.spend(Math.min(LONGEST, Math.max(0, now - this.last) / 1000));
    this.refresh();
    if (this.isDone) this.onend();
    else this.run();
  }

  /** Go on by as many pixels as the time is enough for. */
  spend(seconds) {
    this.credit += seconds * 10 ** Number(this.speed.value);
    for (let cost = this.cost(); this.credit > cost && !this.isDone; cost = this.cost()) {
      this.credit -= cost;
      this.at += 1;
    }
  }

  cost() {
    return PACE.rest + PACE.bit * (this.insight?.entropy(...this.place) ?? 0.2);
  }

  get place() {
    const { width } = this.images;
    return [Math.floor(this.at / width), this.at % width];
  }

  refresh() {
    const { images, at } = this;
    paintCells(this.canvas, images.height, images.width, (row, column) => {
      const cell = row * images.width + column;
      if (cell === at && !this.isDone) return FIELD.here;
      return cell <= at ? colorOf(images, 0, row, column) : UNKNOWN;
    });
    this.canvas.dataset.at = at;
    const [row, column] = this.place;
    this.where.textContent = `Row ${row + 1}, column ${column + 1}`;
    const levels = Array.from({ length: images.colors }, (_, c) => images.at(0, c, row, column));
    if (this.insight) this.chances.show(this.insight.at(row, column), levels);
  }
}

/** The number of the pixel of which the model knows least. */
function unsure(insight, { height, width }) {
  const sure = (cell) => insight.entropy(Math.floor(cell / width), cell % width);
  const cells = Array.from({ length: height * width }, (_, cell) => cell);
  return cells.reduce((best, cell) => (sure(cell) > sure(best) ? cell : best), 0);
}
