/** The worker: it holds the network and answers questions, one after the other. */

import { Chooser, HEADS } from "./choosing.js";
import { Network } from "./network.js";
import { fieldOf } from "./reach.js";

let tables = null;

/** What can be asked, by name. */
const ANSWERS = {
  open: ({ packed }) => {
    tables = { ...packed };
    for (const name of ["weights", "bias", "terms"]) tables[name] = floatsOf(packed[name]);
  },
  fill: (question, tell) => new Scan(question).run(tell),
  field: ({ row, column }) => fieldOf(tables, row, column),
};

self.addEventListener("message", ({ data: { id, kind, ...question } }) => {
  const found = ANSWERS[kind](question, (part) => self.postMessage({ id, part }));
  self.postMessage({ id, found });
});

/** Floats of 32 bits, little endian, from base64. */
function floatsOf(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, n) => view.getFloat32(4 * n, true));
}

/** One image through the scan: pixels that are known are kept, the others drawn. */
class Scan {
  constructor({ levels, known, uniforms, label = 0, temperature = 1, byRow = false }) {
    const [, height, width] = tables.shape;
    Object.assign(this, { height, width, known, uniforms, temperature, byRow });
    this.network = new Network(tables);
    this.network.begin(label);
    this.chooser = new Chooser(tables.levels);
    this.levels = levels ? Uint8Array.from(levels) : new Uint8Array(height * width);
    this.probabilities = new Float64Array(height * width * tables.levels);
    this.nats = new Float64Array(height * width);
    this.total = 0;
  }

  /**
   * @param {function(Object)} tell called after each row with what is there, if that was asked for
   * @returns {Object} levels; pixel by pixel the probabilities that a level is drawn by, and the
   *   nats of the level at temperature 1; and the log-probability of the image, nats
   */
  run(tell) {
    for (let row = 0; row < this.height; row += 1) {
      this.network.beginRow(row);
      for (let column = 0; column < this.width; column += 1) this.visit(row, column);
      if (this.byRow) tell({ rows: row + 1, ...this.made });
    }
    return this.made;
  }

  get made() {
    const { levels, probabilities, nats, total } = this;
    return { levels, probabilities, nats, total };
  }

  visit(row, column) {
    const { network, chooser } = this;
    const cell = row * this.width + column;
    HEADS[tables.head](network.state, network.predict(row, column), chooser.p);
    chooser.read();
    if (!this.known?.[cell]) {
      this.levels[cell] = chooser.draw(this.uniforms[cell], this.temperature);
    }
    const gained = chooser.logProbability(this.levels[cell]);
    this.total += gained;
    this.nats[cell] = -gained;
    this.probabilities.set(chooser.probabilities, cell * tables.levels);
    network.write(row, column, this.levels[cell]);
  }
}
