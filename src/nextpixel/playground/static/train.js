/** The view Train: a small net that learns on the server, its samples and its curve. */

import { read, write } from "./address.js";
import { events, get, Refusal, wordsOf } from "./api.js";
import { Curve } from "./curve.js";
import { button, el } from "./dom.js";
import { nats, number, several } from "./format.js";
import { Images } from "./images.js";
import { Influence } from "./influence.js";
import { Segments } from "./segments.js";
import { Wall } from "./wall.js";

const FLAT = 14 * 14 * Math.log(2);
const KEPT = 3; // earlier curves
const SETTLE = 250; // ms, for choices made one after another
const BATCH = 16;
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

const FACES = {
  idle: "Start",
  asking: "Pause",
  running: "Pause",
  waiting: "Stop waiting",
  paused: "Go on",
  over: "Train again",
};

export class TrainView {
  /**
   * @param {HTMLElement} place where it goes
   * @param {Object[]} models not needed: it makes its own
   * @param {Object} limits
   */
  constructor(place, models, limits) {
    this.limits = limits;
    this.visitor = visitor();
    this.runs = [];
    this.wall = new Wall([20, 1, 14, 14]);
    this.curve = new Curve({ most: FLAT, seconds: limits.train_seconds });
    this.influence = new Influence();
    this.makeChoices();
    this.status = el("p", { class: "status", role: "status" });
    this.error = el("p", { class: "error", role: "alert" });
    this.figures = el("p", { class: "figures" });
    this.main = button(FACES.idle, () => this.press(), { class: "main" });
    this.reset = button("Reset", () => this.showUntrained());
    place.append(this.layout());
    this.watchAway(place.closest("[role=tabpanel]"));
    this.arrive();
  }

  makeChoices() {
    const make = (title, key, choices, usual) =>
      Object.assign(new Segments(title, choices, () => this.choose()), { key, usual });
    const numbers = (...values) => values.map((value) => [String(value), String(value)]);
    this.net = make(
      "Net",
      "net",
      [
        ["gated", "gated"],
        ["plain", "plain"],
      ],
      "gated",
    );
    this.kernel = make("Kernel", "kernel", numbers(3, 5, 7), "5");
    this.features = make("Features", "features", numbers(4, 8, 16, 32), "16");
    this.classes = make(
      "Class given",
      "class",
      [
        ["no", "no"],
        ["yes", "yes"],
      ],
      "no",
    );
    this.choices = [this.net, this.kernel, this.features, this.classes];
    this.read();
  }

  /** Choose what the address says; whether that is another net than before. */
  read() {
    const asked = read("train");
    const before = this.choices.map(({ value }) => value).join();
    for (const choice of this.choices) choice.value = asked.get(choice.key) ?? choice.usual;
    return this.choices.map(({ value }) => value).join() !== before;
  }

  /** The address has changed. */
  restore() {
    if (this.read()) this.choose();
  }

  layout() {
    const run = el("div", { class: "run" }, this.main, this.reset);
    const choices = this.choices.map(({ node }) => node);
    const bar = el("div", { class: "train-bar" }, run, choices);
    const words = el("div", { class: "train-words" }, this.figures, this.status, this.error);
    const panel = (title, kind, node) => el("section", { class: kind }, el("h3", {}, title), node);
    const panels = el(
      "div",
      { class: "train-panels" },
      panel("Samples of fixed noise", "samples", this.wall.node),
      panel("Surprise, in nats an image", "surprise", this.curve.node),
      panel("What one pixel sees", "middle", this.influence.node),
    );
    return el("div", { class: "train-view" }, bar, words, panels);
  }

  /** As the server takes it. */
  body() {
    return {
      visitor: this.visitor,
      gated: this.net.value === "gated",
      side: Number(this.kernel.value),
      features: Number(this.features.value),
      classes: this.classes.value === "yes",
    };
  }

  /** The net in few words, to tell curves apart. */
  name() {
    const [net, kernel, features] = this.choices.map(({ value }) => value);
    const more = this.classes.value === "yes" ? ", class given" : "";
    return `${net}, kernel ${kernel}, ${features} features${more}`;
  }

  /** Train at once where the server has time for it and motion is welcome. */
  async arrive() {
    this.go("idle");
    const { waiting } = await get("api/queue").catch(() => ({ waiting: 0 }));
    if (this.state !== "idle") return; // the reader was faster
    this.away = document.hidden && !still.matches;
    if (still.matches || this.away) this.showUntrained();
    else if (waiting <= this.limits.train_places) this.start({ patient: false });
    else this.showUntrained().then(() => this.say("The server is busy; Start asks for a place."));
  }

  press() {
    const { state } = this;
    if (state === "running" || state === "asking") this.pause("Paused.");
    else if (state === "paused") this.listen("api/train/resume", { visitor: this.visitor });
    else if (state === "waiting") this.showUntrained();
    else this.start();
  }

  /** Another net was chosen: train it, unless none was trained before. */
  choose() {
    write("train", Object.fromEntries(this.choices.map(({ key, value }) => [key, value])));
    const goOn = ["running", "asking", "waiting", "over"].includes(this.state) && !still.matches;
    this.leave();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => (goOn ? this.start() : this.showUntrained()), SETTLE);
  }

  start({ patient = true } = {}) {
    this.trains = true;
    this.begin();
    return this.listen("api/train", this.body(), patient);
  }

  showUntrained() {
    this.trains = false;
    this.begin();
    return this.listen("api/train", { ...this.body(), updates: 0 });
  }

  /** Keep the curve there is, faint, and begin another. */
  begin() {
    this.leave();
    const kept = this.runs.filter(({ points }) => points.length > 1).slice(-KEPT);
    this.runs = [...kept, { name: this.name(), points: [] }];
  }

  leave() {
    clearTimeout(this.retrying);
    this.control?.abort();
  }

  /** Stop; what has learned can go on. */
  pause(words) {
    this.leave();
    this.go(this.now.points.length ? "paused" : "idle", words);
  }

  /** Follow a training to its end, or until it is left. */
  async listen(path, body, patient = true) {
    const control = new AbortController();
    this.control = control;
    this.measured = null;
    this.go("asking", "Asking the server…");
    try {
      for await (const event of events(path, body, control.signal, 1)) this.take(event, body);
      if (this.state === "running") throw new Refusal("The server ended before the net was done.");
    } catch (failure) {
      if (this.control === control && failure.name !== "AbortError") {
        this.fail(failure, () => this.listen(path, body), patient);
      }
    }
  }

  fail(failure, again, patient) {
    const busy = failure.status === 503 && failure.wait;
    if (!busy) {
      const gone = failure.status === 404; // it is kept for some minutes only
      this.go(this.now?.points.length > 1 && !gone ? "paused" : "idle");
      this.error.textContent = wordsOf(failure);
    } else if (patient) this.wait(failure, again);
    else this.showUntrained().then(() => this.say(`${capital(failure.message)}.`));
  }

  /** The server is busy: say for how long, and try again by itself. */
  wait(refusal, again) {
    const seconds = Math.min(15, refusal.wait + Math.round(2 * Math.random()));
    const words = `${capital(refusal.message)}. Trying again in ${seconds} s…`;
    this.go("waiting", words);
    this.retrying = setTimeout(again, 1000 * seconds);
  }

  get now() {
    return this.runs.at(-1);
  }

  take(event, body) {
    if (event.event === "error") throw new Refusal(event.message);
    if (event.event === "start") this.show(event);
    if (event.event === "report") this.report(event, body.updates === 0);
    if (event.event === "done") this.end(event, body.updates === 0);
  }

  show(net) {
    this.parameters = net.parameters;
    const images = Images.unpack(net.samples);
    this.wall.caption(net.labels);
    this.wall.redraw(images);
    this.influence.setNet(images, net);
    this.say("The server gets its digits ready…");
  }

  report(event, once) {
    if (!once && this.state !== "running") this.go("running", "It learns.");
    const { step, seconds, train_nats: train, held_out_nats: heldOut } = event;
    this.measureShare(seconds);
    this.now.points.push({ seconds, train, heldOut });
    this.curve.draw(this.runs);
    this.influence.show(event.influence);
    this.figures.textContent =
      `${number(seconds, 1)} s of ${number(this.limits.train_seconds)}, ` +
      `${several(step, "update")}, ${several(step * BATCH, "digit")} read; ` +
      `${number(this.parameters)} weights${this.slow}`;
    this.wall.redraw(Images.unpack(event.samples));
  }

  /** Of the time that has passed, how much the server worked for this net. */
  measureShare(seconds) {
    const clock = performance.now() / 1000;
    const last = this.measured;
    this.measured = { clock, seconds };
    const share = last ? (seconds - last.seconds) / (clock - last.clock) : 1;
    const isSlow = seconds > 0 && share < 0.5 && share > 0;
    this.slow = isSlow ? `; others use the server too, it works for you ${percent(share)}` : "";
  }

  end({ seconds }, once) {
    if (once) this.go("idle", "Not trained yet: every pixel is a coin flip.");
    else {
      const { heldOut } = this.now.points.at(-1);
      this.go("over", `Done, ${number(seconds)} s are used: ${nats(heldOut)} an image.`);
    }
  }

  /** While nobody can see it, it need not learn. */
  watchAway(panel) {
    const look = () => {
      const away = document.hidden || panel.hidden;
      if (away && this.trains && ["running", "asking", "waiting"].includes(this.state)) {
        this.pause("Paused while you were away.");
        this.away = true;
      } else if (!away && this.away) {
        this.away = false;
        if (this.state === "paused") this.press();
        else this.start();
      }
    };
    document.addEventListener("visibilitychange", look);
    new MutationObserver(look).observe(panel, { attributes: true, attributeFilter: ["hidden"] });
  }

  go(state, words = "") {
    this.state = state;
    this.main.textContent = FACES[state];
    this.error.textContent = "";
    this.say(words);
  }

  say(words) {
    this.status.textContent = words;
  }
}

/** A word that only this page knows: its training is found by it again. */
function visitor() {
  const parts = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(parts, (part) => part.toString(36)).join("-");
}

function percent(share) {
  return `${Math.round(100 * share)} % of the time`;
}

function capital(words) {
  return words[0].toUpperCase() + words.slice(1);
}
