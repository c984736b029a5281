/** One idea on the page: its words, its picture, its control, and what the picture says now. */

import { button, el } from "./dom.js";
import { Motion } from "./motion.js";

export class Station {
  /**
   * @param {Object} idea has `name`, `title`, `words`, `pictures`, `control`, and what it `says`;
   *   `advance(seconds)` lets time pass and tells whether anything changed, `begin()`, if there is
   *   one, comes before the first; `paint()` shows it, `state` is what an address keeps, and
   *   `restore(query)` takes it from there; it calls `ontouch()` when the reader changes something
   * @param {function(string, Object)} onkeep the name and state, once the reader has settled on it
   */
  constructor(idea, onkeep) {
    this.idea = idea;
    this.keep = () => onkeep(idea.name, idea.state);
    this.said = el("p", { class: "said" });
    this.play = button("", () => this.motion.want(!this.motion.wanted), { class: "play" });
    this.node = this.layout();
    this.begun = false;
    idea.ontouch = (how) => this.touched(how);
    this.motion = new Motion(this.node, {
      onframe: (seconds) => this.advance(seconds),
      onwant: (wanted) => this.announce(wanted),
    });
    this.show();
  }

  layout() {
    const { name, title, words, pictures, control } = this.idea;
    const id = `idea-${name}`;
    this.heading = el("h3", { id: `${id}-title`, tabindex: -1 }, title);
    const text = el(
      "div",
      { class: "text" },
      this.heading,
      words.map((one) => el("p", {}, one)),
    );
    const knobs = el("div", { class: "knobs", change: () => this.keep() }, control, this.play);
    const panel = el("div", { class: "panel" }, knobs, this.said);
    const shown = el("div", { class: "shown" }, pictures);
    const attributes = { class: "station", id, "aria-labelledby": this.heading.id };
    return el("section", attributes, text, shown, panel);
  }

  /** What moves by itself is not read out; what the reader does is. */
  announce(wanted) {
    this.play.textContent = wanted ? "Pause" : "Play";
    this.play.setAttribute("aria-label", `${wanted ? "Pause" : "Play"}: ${this.idea.title}`);
    this.said.setAttribute("aria-live", wanted ? "off" : "polite");
  }

  show() {
    this.idea.paint();
    if (this.said.textContent !== this.idea.says) this.said.textContent = this.idea.says;
  }

  advance(seconds) {
    if (!this.begun) this.idea.begin?.();
    this.begun = true;
    if (this.idea.advance(seconds)) this.show();
  }

  /** The reader has changed something: stand still, unless the idea goes on by itself. */
  touched({ still = true } = {}) {
    this.begun = true;
    if (still) this.motion.want(false);
    this.show();
  }

  /** Come into view as the address tells it. */
  restore(query) {
    if (this.idea.restore(query)) this.touched();
    this.node.scrollIntoView();
    this.heading.focus({ preventScroll: true });
  }
}
