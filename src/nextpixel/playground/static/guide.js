/** The tasks on the page: one at a time is asked, answered by a press on the picture. */

import { button, el, refill } from "./dom.js";
import { drawnSolution, solvable, TASKS } from "./tasks.js";

export class Guide {
  /** @param {function()} onnext another image is asked for */
  constructor(onnext) {
    this.solved = TASKS.map(() => false);
    this.current = 0;
    this.why = "";
    this.list = el("ol", { class: "tasks" });
    this.words = el("p", { role: "status", class: "verdict" });
    this.hint = button("Hint", () => this.say(TASKS[this.current].hint(this.scene)));
    this.next = button("Another image", onnext);
    this.count = el("span");
    const summary = el("summary", {}, "Five things to find ", this.count);
    const lead = el("p", { class: "hint" }, HOW);
    const tools = el("div", { class: "inline" }, this.hint, this.next);
    this.node = el("details", { class: "guide" }, summary, lead, this.list, this.words, tools);
    this.node.addEventListener("toggle", () => this.show());
    this.show();
  }

  /**
   * Look at other numbers.
   * @param {Object|null} scene as tasks need it; null while there is none
   * @param {string} why there is none, where that will not change
   */
  setScene(scene, why = "") {
    Object.assign(this, { scene, why });
    if (this.node.open) this.show();
    if (this.ready && TASKS[this.current].drawn && !this.solved[this.current]) this.checkDrawing();
  }

  get ready() {
    return this.node.open && Boolean(this.scene);
  }

  /** A pixel is pressed: is it what was asked for? */
  answer(cell) {
    if (!this.ready || this.solved[this.current]) return;
    const task = TASKS[this.current];
    if (task.does(this.scene, cell)) this.tick();
    else if (solvable(task, this.scene)) this.say(`Not this one. ${task.miss(this.scene, cell)}`);
  }

  checkDrawing() {
    if (drawnSolution(TASKS[this.current], this.scene) !== undefined) this.tick();
  }

  tick() {
    this.solved[this.current] = true;
    const left = this.solved.indexOf(false);
    if (left >= 0) this.current = left;
    this.show();
    this.say(left < 0 ? "Found, and all five solved." : "Found. Now the next one.");
  }

  choose(number) {
    this.current = number;
    this.show();
    this.list.children[number].querySelector("button").focus();
  }

  show() {
    this.count.textContent = `(${this.solved.filter(Boolean).length} of ${TASKS.length} found)`;
    if (!this.node.open) return;
    refill(
      this.list,
      TASKS.map((task, number) => this.entry(task, number)),
    );
    const here = this.scene && !this.solved[this.current];
    const task = TASKS[this.current];
    const stuck = Boolean(here) && !solvable(task, this.scene);
    this.hint.disabled = !here || stuck;
    this.say(this.scene ? "" : this.why);
    if (stuck) this.say(`${task.none?.(this.scene) ?? ""} Try another image.`);
  }

  entry(task, number) {
    const done = this.solved[number];
    const mark = el("span", { class: "mark", "aria-hidden": "true" }, done ? "✓" : "");
    const words = this.scene ? task.ask(this.scene) : "…";
    const face = el("span", {}, mark, words, done ? " (found)" : "");
    const aria = { "aria-current": number === this.current ? "step" : null };
    return el(
      "li",
      { class: done ? "done" : "" },
      button(face, () => this.choose(number), aria),
    );
  }

  say(words) {
    this.words.textContent = words;
  }
}

const HOW =
  "Point at a pixel and press it (or the space bar) to answer. The page checks it by the " +
  "models' own numbers.";
