/** A wall of pictures, drawn one after the other while it is seen; each can be watched closely. */

import { button, el } from "./dom.js";
import { isStill, paint } from "./pictures.js";
import { uniformsOf } from "./random.js";

const [COLUMNS, ROWS] = [10, 4];
const FIRST = 1000; // seeds of the wall, apart from those of the large picture
const PACE = 56; // rows a second that appear

export class Wall {
  /** @param {function(Object)} onpick a picture is chosen: what the engine made, its uniforms */
  constructor(engine, onpick) {
    Object.assign(this, { engine, onpick, begun: false });
    this.tiles = Array.from({ length: COLUMNS * ROWS }, (_, n) => this.tile(n));
    const nodes = this.tiles.map(({ node }) => node);
    this.node = el("div", { class: "wall", role: "group", "aria-label": "More digits" }, nodes);
  }

  tile(n) {
    const canvas = el("canvas", { width: 1, height: 1 });
    const label = n % (this.engine.model.classes || 1);
    const kind = this.engine.model.classes ? `class ${label}` : "";
    const words = `Picture ${n + 1} ${kind}: watch it being drawn`;
    const node = button(canvas, () => this.pick(n), { "aria-label": words, disabled: true });
    return { canvas, label, node, seed: FIRST + n };
  }

  pick(n) {
    this.onpick(this.tiles[n].made);
  }

  /** Draw what is not drawn yet, as long as the wall is seen. */
  async begin() {
    if (this.begun) return;
    this.begun = true;
    for (const tile of this.tiles) {
      await this.isShown();
      await this.fill(tile);
    }
  }

  async fill(tile) {
    const [, height, width] = this.engine.model.shape;
    const uniforms = uniformsOf(tile.seed, height * width);
    const made = await this.engine.fill({ uniforms, label: tile.label });
    tile.made = { ...made, uniforms, rows: height };
    tile.node.disabled = false;
    if (isStill()) paint(tile.canvas, this.engine.model, made.levels);
    else this.reveal(tile, performance.now());
  }

  /** Row by row. */
  reveal(tile, since) {
    const { model } = this.engine;
    const rows = Math.floor(((performance.now() - since) / 1000) * PACE);
    paint(tile.canvas, model, tile.made.levels, { drawn: rows * model.shape[2] });
    if (rows < model.shape[1]) requestAnimationFrame(() => this.reveal(tile, since));
  }

  /** Wait until the wall is seen. */
  isShown() {
    if (this.seen) return Promise.resolve();
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  setSeen(seen) {
    this.seen = seen;
    if (seen) this.wake?.();
  }
}
