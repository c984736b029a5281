/** The section Draw: a digit that draws itself, what the net expects there, a wall of others. */

import { Bars } from "./bars.js";
import { button, el } from "./dom.js";
import { classChoice, labelled, range } from "./knobs.js";
import { entropy, isStill, paint } from "./pictures.js";
import { uniformsOf } from "./random.js";
import { Wall } from "./wall.js";

const PACE = { rest: 0.18, bit: 2 }; // how long a pixel takes: longer where the net is unsure
const PAUSE = 2500; // milliseconds for which a finished picture stays

export class DrawView {
  constructor(place, engine) {
    Object.assign(this, { engine, model: engine.model, seed: 1, at: 0, asked: 0 });
    [, this.height, this.width] = this.model.shape;
    this.canvas = el("canvas", { class: "stage", role: "img", "aria-label": "The picture so far" });
    this.where = el("h3");
    this.bars = new Bars(this.model.levels);
    this.wall = new Wall(engine, (made) => this.showOther(made));
    place.append(this.layout(), this.wall.node);
    this.playing = !isStill();
    this.renew();
  }

  layout() {
    const panel = el("div", { class: "panel" }, this.where, this.bars.node, this.controls());
    return el("div", { class: "sides" }, el("div", {}, this.canvas), panel);
  }

  controls() {
    this.play = button("Pause", () => this.setPlaying(!this.playing), { class: "main" });
    this.play.textContent = isStill() ? "Play" : "Pause";
    const buttons = [
      this.play,
      button("One pixel", () => this.step()),
      button("Again", () => this.replay()),
      button("New digit", () => this.renew(this.seed + 1)),
    ];
    this.speed = range(0, 3, 0.1, 1.6);
    this.heat = range(0.4, 1.6, 0.1, 1, () => this.renew());
    const knobs = [this.classes(), labelled("Speed", this.speed), labelled("Boldness", this.heat)];
    const hint =
      "Boldness is the temperature: below 1 the likely gets likelier, above 1 chance has more say.";
    return el(
      "div",
      { class: "controls" },
      el("div", { class: "run" }, buttons),
      el("div", { class: "knobs" }, knobs),
      el("p", { class: "hint" }, hint),
    );
  }

  /** A choice of the class, for a net that takes one. */
  classes() {
    const { classes } = this.model;
    if (!classes) return null;
    this.choice = classChoice(classes, () => this.renew(), "in turn");
    return labelled("Class", this.choice);
  }

  /** The class to draw: the chosen one, or all in turn. */
  get label() {
    const chosen = this.choice?.value ?? "";
    return chosen === "" ? (this.seed - 1) % (this.model.classes || 1) : Number(chosen);
  }

  /** Draw an image: another for another seed. The last that was asked for is shown. */
  async renew(seed = this.seed) {
    const asked = (this.asked += 1);
    this.seed = seed;
    const uniforms = uniformsOf(seed, this.height * this.width);
    const [label, temperature] = [this.label, Number(this.heat.value)];
    const made = { uniforms, rows: 0 };
    await this.engine.fill({ uniforms, label, temperature }, (part) => {
      const first = made.rows === 0;
      Object.assign(made, part);
      if (first && asked === this.asked) this.show(made);
    });
    if (isStill() && !this.playing && asked === this.asked) this.show(made);
    this.wall.begin();
  }

  /** Show an image from its first pixel on, or whole where motion is not wanted. */
  show(made) {
    Object.assign(this, { made, at: 0, credit: 0 });
    if (isStill() && !this.playing) this.at = this.ready - 1;
    this.run();
    this.canvas.setAttribute("aria-label", "A picture that is drawn pixel by pixel");
    this.refresh();
  }

  /** Show an image of the wall, in motion. */
  showOther(made) {
    this.asked += 1; // what is under way is not shown
    this.show(made);
    this.setPlaying(true);
    this.canvas.scrollIntoView({ block: "nearest", behavior: isStill() ? "auto" : "smooth" });
  }

  replay() {
    Object.assign(this, { at: 0, credit: 0 });
    this.setPlaying(true);
  }

  step() {
    this.setPlaying(false);
    if (this.made && this.at + 1 < this.ready) this.at += 1;
    this.refresh();
  }

  /** How many pixels the engine has made. */
  get ready() {
    return this.made.rows * this.width;
  }

  /** Go on or stay; a picture that is done begins again. */
  setPlaying(playing) {
    this.playing = playing;
    this.play.textContent = playing ? "Pause" : "Play";
    if (playing && this.made && this.isDone) this.at = 0;
    this.run();
  }

  /** Nothing moves while it is not seen. */
  setSeen(seen) {
    this.seen = seen;
    this.wall.setSeen(seen);
    this.run();
  }

  run() {
    if (this.running || !this.playing || !this.seen || !this.made) return;
    this.running = true;
    this.last = performance.now();
    requestAnimationFrame((now) => this.frame(now));
  }

  frame(now) {
    this.running = false;
    if (!this.playing || !this.seen) return;
    this.spend(Math.min(0.1, (now - this.last) / 1000));
    if (this.isDone) this.rest();
    else this.run();
  }

  /** Go on by as many pixels as the time is enough for. */
  spend(seconds) {
    this.credit += seconds * 10 ** Number(this.speed.value);
    while (this.credit > this.cost() && this.at + 1 < this.ready) {
      this.credit -= this.cost();
      this.at += 1;
    }
    if (this.at + 1 >= this.ready) this.credit = 0; // the engine has yet to draw the next
    this.refresh();
  }

  cost() {
    return PACE.rest + PACE.bit * entropy(this.chances());
  }

  get isDone() {
    return this.at === this.made.levels.length - 1;
  }

  /** A finished picture stays for a while, then the next is drawn. */
  rest() {
    const { made } = this;
    setTimeout(() => {
      const goesOn = this.playing && this.seen && this.made === made && this.isDone;
      if (goesOn) this.renew(this.seed + 1);
    }, PAUSE);
  }

  chances() {
    const { levels } = this.model;
    return this.made.probabilities.subarray(this.at * levels, (this.at + 1) * levels);
  }

  refresh() {
    const { at, made, model, width } = this;
    if (!made) return;
    const more = this.isDone ? {} : { drawn: at, here: at };
    paint(this.canvas, model, made.levels, more);
    this.where.textContent = `Row ${Math.floor(at / width) + 1}, column ${(at % width) + 1}`;
    this.bars.show(this.chances(), made.levels[at], made.uniforms[at]);
  }
}
