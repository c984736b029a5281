/** What one model says at a pixel: its bars, its field in words, and its surprise at all pixels. */

import { Chances } from "./chances.js";
import { el, refill } from "./dom.js";
import { bits, bytes, number, several } from "./format.js";
import { described, uncounted } from "./modelfield.js";
import { sizeBars } from "./sizes.js";
import { SurpriseMap } from "./surprise.js";

export class Inspector {
  /** @param {function(number, number)} onpoint a pixel of the map of surprise was pressed */
  constructor(onpoint) {
    this.title = el("h3");
    this.note = el("p", { class: "hint" });
    this.status = el("p", { class: "hint", role: "status" });
    this.chances = new Chances();
    this.bars = el("div");
    this.fieldWords = el("p", { class: "field-words" });
    this.surprise = new SurpriseMap(onpoint);
    this.surpriseWords = el("figcaption");
    this.sizes = el("div");
    this.costs = el("details", { hidden: true }, el("summary", {}, "What it costs to keep"));
    this.costs.append(this.sizes);
    this.about = el("p", { class: "hint" });
    this.error = el("p", { class: "error", role: "alert" });
    this.node = el("section", { class: "inspector" }, this.parts());
  }

  parts() {
    const heading = el("h4", {}, "What each pixel cost it");
    const figure = el("figure", {}, heading, this.surprise.node, this.surpriseWords);
    const head = [this.title, this.note, this.error, this.status];
    return [...head, this.bars, this.fieldWords, figure, this.costs, this.about];
  }

  /** Name the model, and what it is given beyond the pixels; figures of another one go. */
  setModel(model) {
    if (this.model !== model) this.clear();
    this.model = model;
    this.title.textContent = model.name;
    this.about.textContent = described(model);
    this.code = uncounted(model);
    this.note.textContent =
      this.code && `Also given ${this.code}; the bits of that are not counted below.`;
  }

  clear() {
    this.fail("");
    for (const node of [this.bars, this.fieldWords, this.surpriseWords, this.sizes]) refill(node);
    this.surprise.clear();
    this.costs.hidden = true;
  }

  /** What is shown belongs to what was asked before; new numbers are under way. */
  wait() {
    this.fail("");
    this.node.setAttribute("aria-busy", "true");
  }

  /** Say what the reader waits for; "" for nothing. */
  say(words) {
    this.status.textContent = words;
  }

  fail(message) {
    this.error.textContent = message;
    this.say("");
    this.node.removeAttribute("aria-busy");
  }

  /** Show what the model predicts at a pixel, and in words what it sees from there. */
  showPixel(insight, kinds, images, row, column) {
    const distributions = insight.at(row, column);
    const levels = distributions.map((_, color) => images.at(0, color, row, column));
    this.chances.show(distributions, levels);
    refill(this.bars, this.chances.node);
    this.fieldWords.textContent = fieldInWords(kinds);
    this.surprise.point(row, column);
  }

  /** Show the bits of each pixel, and their sum against other ways to keep the image. */
  showCosts(insight, images, most) {
    this.fail("");
    const total = bits(insight.answer.total_bits);
    const words = `${total} in all; the dearest pixel ${number(insight.most, 1)}.`;
    this.surprise.show(insight.bits, images, most, words);
    this.surpriseWords.textContent = words;
    this.showSizes(insight.answer);
  }

  showSizes({ total_bits: total, png_bytes: png, raw_bytes: raw }) {
    const ours = Math.ceil(total / 8);
    const rows = [
      [this.code ? "by this model, code apart" : "by this model", ours, "ours"],
      ...(png ? [["as PNG", png, "png"]] : []),
      ["its levels alone", raw, "raw"],
    ];
    const ratio = number(png / Math.max(1, total / 8), 1);
    const more = png ? `: PNG takes ${ratio} times that.` : ".";
    const words = this.code ? " and its code, which is not counted." : more;
    const verdict = el("p", {}, `The image in ${bytes(ours)}${words}`);
    refill(this.sizes, verdict, sizeBars(rows));
    this.costs.hidden = false;
  }
}

function fieldInWords(kinds) {
  const count = (name) => kinds.filter((kind) => kind === name).length;
  const [seen, blind, far] = ["seen", "blind", "far"].map(count);
  const hidden = blind ? `${number(blind)} lie in its blind spot` : "It has no blind spot";
  const beyond = far ? `, ${number(far)} out of its reach.` : ".";
  const all = several(seen + blind + far, "earlier pixel");
  return `Sees ${number(seen)} of ${all}. ${hidden}${beyond}`;
}
