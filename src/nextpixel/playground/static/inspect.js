/** The view Look inside: what one or two models say at a pixel, and what they see from there. */

import { read, viewOf, write } from "./address.js";
import { wordsOf } from "./api.js";
import { el, refill } from "./dom.js";
import { Editor } from "./editor.js";
import { ChoiceField } from "./fields.js";
import { Guide } from "./guide.js";
import { byInterest } from "./insight.js";
import { Inspector } from "./inspector.js";
import { ClassField, ModelField, titled } from "./modelfield.js";
import { hatch, Overlay, tinted } from "./overlay.js";
import { alike, firstPair, partners } from "./pairs.js";
import { Picker } from "./picker.js";
import { Questions } from "./questions.js";
import { Scale } from "./surprise.js";
import { walk } from "./walk.js";

const VIEW = "inspect";
const STEPS = 5; // of the walk on arrival
const TOO_LARGE = "These need numbers of all pixels at once, which are not there for this image.";
const SLOW = 1500; // milliseconds without an answer until that is said
const WAITING = "Waiting for the engine, which may be busy, or loading after a start.";
const UNKNOWN = -1; // class, to models that were trained without one too
const PAUSE = 80; // milliseconds that the pointer rests before a pixel is asked for by itself
const REST = 400; // milliseconds until the address follows the pointer

export class InspectView {
  constructor(place, models, limits) {
    this.models = models.filter((model) => model.usable);
    this.questions = new Questions(limits);
    this.make();
    place.append(this.layout());
    if (!this.restore()) this.begin(firstPair(this.models));
  }

  make() {
    this.model = new ModelField(this.models, { onchange: () => this.setModel() });
    this.second = new ChoiceField("second", "Compare with", [], {});
    this.second.control.addEventListener("change", () => this.setSecond());
    this.classField = new ClassField({});
    this.classField.control.addEventListener("change", () => this.setClass());
    this.editor = new Editor("The image to inspect", ["inspect", "draw"], {
      onpoint: () => this.pointed(),
      onchange: () => this.drawn(),
      onuse: (row, column) => this.guide.answer(row * this.editor.images.width + column),
    });
    this.editor.tint = (row, column, color) => tinted(color, this.kindAt(row, column));
    this.editor.board.decorate = (context, scale) => this.hatch(context, scale);
    this.picker = new Picker((images, label) => this.pick(images, label));
    this.overlay = new Overlay(() => this.showOverlay());
    const point = (row, column) => this.editor.point(row, column);
    this.inspectors = [new Inspector(point), new Inspector(point)];
    this.scale = new Scale();
    this.guide = new Guide(() => this.picker.next());
  }

  layout() {
    const { editor } = this;
    const choices = [this.model, this.second, this.classField].map(({ node }) => node);
    this.model.hint.hidden = true; // said beside, of both models
    this.note = el("p", { class: "unlike", role: "status" });
    this.panels = el("div", { class: "inspectors" });
    const words = el("summary", {}, "Draw on the picture, or use the keyboard");
    const tools = el("div", { class: "editor" }, editor.tools.node, editor.help);
    const more = el("details", {}, words, tools);
    const stage = el("div", { class: "seen" }, editor.board.node, editor.place, this.overlay.node);
    const row = el("div", { class: "chosen" }, choices);
    const parts = [row, this.note, this.panels, this.scale.node, this.guide.node];
    const says = el("div", { class: "says" }, parts);
    const others = el("h3", {}, "Another image");
    const other = el("div", { class: "other" }, more, others, this.picker.node);
    return el("div", { class: "look" }, stage, says, other);
  }

  /** Begin with two models, at a test image and a pixel of it where they are given. */
  begin([first, second], { image = 0, at = null, label = null } = {}) {
    this.at = at;
    this.wanted = label;
    this.model.choose(first.name);
    this.offerSecond(second?.name ?? "");
    this.editor.setModel(first);
    this.setShown();
    this.picker.model = null;
    this.picker.setModel(first, image);
  }

  /** Show what the address says, if it says something. */
  restore() {
    if (this.saved && this.saved === location.hash) return true;
    const said = read(VIEW);
    const named = (key) => this.models.find(({ name }) => name === said.get(key));
    const first = named("model");
    if (!first) return false;
    const number = (key) => numberOf(said.get(key));
    const at = [number("row"), number("column")].map((value) => (value ?? 0) - 1);
    const second = partners(this.models, first).find((other) => other === named("second"));
    this.begin([first, second], {
      image: Math.max(0, (number("image") ?? 1) - 1),
      at: Math.min(...at) < 0 ? null : at,
      label: number("label"),
    });
    return true;
  }

  /** The reader chose a model; the second stays where it can, else the likest takes its place. */
  setModel() {
    const { model } = this.model;
    const others = partners(this.models, model);
    const kept = others.find(({ name }) => name === this.second.value) ?? others[0];
    this.offerSecond(kept?.name ?? "");
    this.editor.setModel(model);
    this.setShown();
    const picked = this.picker.setModel(model, this.picker.number ?? 0);
    picked.then((anew) => anew || this.refresh());
  }

  offerSecond(name) {
    const { model } = this.model;
    const face = (other) => titled(other) + (alike(other, model) ? "" : " (other levels)");
    const others = partners(this.models, model).map((other) => [other.name, face(other)]);
    this.second.offer([...others, ["", "no other"]]);
    this.second.value = name;
  }

  setSecond() {
    this.setShown();
    this.refresh();
  }

  /** The models inspected, one or two. */
  setShown() {
    const second = this.models.find(({ name }) => name === this.second.value);
    this.asking?.abort(); // answers about other models come too late
    this.shown = [this.model.model, second].filter(Boolean);
    this.note.textContent = this.shown.length === 2 ? unlike(...this.shown) : "";
    this.classField.setModel(this.shown.find(takesClass) ?? this.shown[0]);
    this.tellClass();
    this.shown.forEach((model, i) => this.inspectors[i].setModel(model));
    this.overlay.setModels(this.shown.map(({ name }) => name));
    refill(
      this.panels,
      this.shown.map((_, i) => this.inspectors[i].node),
    );
    this.insights = [];
  }

  pick(images, label) {
    this.own = label;
    this.original = images.one(0);
    this.editor.setImage(images);
    this.wanted = this.wanted ?? label;
    this.tellClass();
    this.wanted = null;
    this.fresh = true;
    this.refresh();
  }

  /** Models get the class that is the image's own, until the reader chooses another. */
  tellClass() {
    const label = this.wanted ?? this.own ?? (this.original ? UNKNOWN : null);
    const offered = [...this.classField.control.options].map(({ value }) => Number(value));
    const chosen = offered.includes(label) ? label : this.own; // an address may say anything
    if (offered.includes(chosen)) this.classField.value = chosen;
    this.hintClass();
  }

  setClass() {
    this.hintClass();
    this.refresh();
  }

  hintClass() {
    const own = this.own ?? null;
    const right = own === null || this.classField.chosen === own;
    const words = own === null ? "Of a picture of your own: say which it is." : "The image's own.";
    this.classField.setHint(right ? words : `Not the image's own, which is ${own}.`);
  }

  drawn() {
    this.guide.setScene(null);
    this.refresh();
  }

  /** Ask the models shown about the image; older questions are dropped. */
  refresh() {
    if (!this.editor.images) return;
    this.asking?.abort();
    this.asking = new AbortController();
    this.insights = [];
    this.guide.setScene(null);
    this.shown.forEach((_, i) => this.inspectors[i].wait());
    this.showOverlay();
    const { signal } = this.asking;
    const { images } = this.editor;
    const all = this.shown.map((model, i) => this.ask(model, i, images, signal));
    Promise.all(all).then((found) => signal.aborted || this.arrive(found));
    this.save();
  }

  /** One model's insight and fields, or null where it refused and said so. */
  async ask(model, i, images, signal) {
    const inspector = this.inspectors[i];
    const say = (words) => signal.aborted || inspector.say(words);
    const waiting = setTimeout(() => say(WAITING), SLOW);
    try {
      const label = takesClass(model) ? this.classField.chosen : null;
      const at = { row: this.editor.row, column: this.editor.column };
      const [insight, fields] = await Promise.all([
        this.questions.insight(model, images, label, at, say, signal),
        this.questions.fieldsOf(model, images, at, say),
      ]);
      return { insight, fields };
    } catch (error) {
      if (!signal.aborted) inspector.fail(wordsOf(error));
      return null;
    } finally {
      clearTimeout(waiting);
    }
  }

  arrive(found) {
    this.insights = found;
    const there = found.filter(Boolean);
    const most = Math.max(1, ...there.map(({ insight }) => Math.ceil(insight.most)));
    this.scale.show(most);
    found.forEach((one, i) => {
      if (one) this.inspectors[i].showCosts(one.insight, this.editor.images, most);
    });
    if (this.fresh) this.arriveAtImage(there);
    else this.pointed();
    this.guide.setScene(this.scene(), TOO_LARGE);
  }

  /** A new image: point at the pixel of the address, else where it is worth a look. */
  arriveAtImage(there) {
    this.fresh = false;
    const { images } = this.editor;
    const { height, width } = images;
    const move = ([row, column]) => this.editor.point(row, column);
    const at = this.at && this.at[0] < height && this.at[1] < width ? this.at : null;
    this.at = null;
    if (at || !there.length || !this.whole(there)) {
      move(at ?? [this.editor.row, this.editor.column]);
      return;
    }
    const insights = there.map(({ insight }) => insight);
    const [best, ...next] = byInterest(insights, images);
    const path = [...(this.arrived ? [] : next.slice(0, STEPS).sort((a, b) => a - b)), best];
    this.arrived = true;
    this.stop?.();
    const places = path.map((cell) => this.placeOf(cell));
    this.stop = walk(this.panels.closest(".view"), places, move);
  }

  /** Whether what arrived is about all pixels of the image. */
  whole(there) {
    const { height, width } = this.editor.images;
    const last = [height - 1, width - 1];
    return there.every(
      ({ insight, fields }) =>
        insight.covers(0, 0) && insight.covers(...last) && fields.only === null,
    );
  }

  pointed() {
    clearTimeout(this.later);
    if (this.covered) this.show();
    else this.later = setTimeout(() => this.refresh(), PAUSE);
    this.save();
  }

  /** Whether what is there is about the pixel pointed at. */
  get covered() {
    const { row, column } = this.editor;
    const covers = ({ insight, fields }) => insight.covers(row, column) && fields.covers(this.here);
    return this.insights.every((one) => !one || covers(one));
  }

  /** Row and column of a pixel by its number. */
  placeOf(cell) {
    const { width } = this.editor.images;
    return [Math.floor(cell / width), cell % width];
  }

  get here() {
    return this.editor.row * this.editor.images.width + this.editor.column;
  }

  /** Show the pixel pointed at. */
  show() {
    const { row, column, images } = this.editor;
    this.insights.forEach((one, i) => {
      if (one) {
        const kinds = one.fields.kinds(this.here);
        this.inspectors[i].showPixel(one.insight, kinds, images, row, column);
      }
    });
    this.showOverlay();
  }

  showOverlay() {
    const fields = this.insights[this.overlay.chosen]?.fields;
    this.kinds = fields?.covers(this.here) ? fields.kinds(this.here) : null;
    if (this.editor.images) this.editor.paint();
  }

  kindAt(row, column) {
    return this.kinds?.[row * this.editor.images.width + column];
  }

  hatch(context, scale) {
    if (this.kinds) hatch(context, scale, this.kinds, this.editor.images.width);
  }

  /** What tasks are checked by; null where a model said nothing, or not of all pixels. */
  scene() {
    const { images } = this.editor;
    if (this.insights.includes(null) || !this.whole(this.insights)) return null;
    const levels = (image, cell) => String(image.pixel(...this.placeOf(cell)));
    const paper = levels(images, 0);
    return {
      names: this.shown.map(({ name }) => name),
      insights: this.insights.map(({ insight }) => insight),
      kinds: (i, cell) => this.insights[i].fields.kinds(cell),
      changed: (cell) => levels(images, cell) !== levels(this.original, cell),
      inked: (cell) => levels(images, cell) !== paper,
    };
  }

  /** The address follows, once the pointer rests. */
  save() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => {
      if (viewOf() !== VIEW) return;
      write(VIEW, this.said());
      this.saved = location.hash;
    }, REST);
  }

  said() {
    const { number } = this.picker;
    const { chosen } = this.classField;
    return {
      model: this.model.value,
      second: this.second.value || null,
      image: number === null ? null : number + 1,
      row: this.editor.row + 1,
      column: this.editor.column + 1,
      label: this.shown.some(takesClass) && chosen !== this.own ? chosen : null,
    };
  }
}

/** A whole number, or null for what is none. */
function numberOf(text) {
  return /^-?\d{1,6}$/.test(text ?? "") ? Number(text) : null;
}

function takesClass(model) {
  return model.condition === "class";
}

/** What is to be said of two models whose bits cannot be compared; "" for nothing. */
function unlike(one, other) {
  if (alike(one, other)) return "";
  return (
    `${one.name} learned from ${one.protocol} levels, ${other.name} from ${other.protocol} ones: ` +
    "this image is of the first kind, and their bits cannot be compared fairly."
  );
}
