/** The page's side of the worker: questions and their answers. */

import { WORKER } from "./worker-source.js";

export class Engine {
  /**
   * @param {Object} model tables as Python wrote them, arrays in base64
   * @param {function(string)} onfail what is wrong, in words
   */
  constructor(model, onfail) {
    this.model = model;
    this.asked = new Map();
    this.count = 0;
    const source = new Blob([WORKER], { type: "text/javascript" });
    this.worker = new Worker(URL.createObjectURL(source));
    this.worker.addEventListener("message", ({ data }) => this.receive(data));
    this.worker.addEventListener("error", () => onfail("The worker of this page has failed."));
    const { name, title, images, labels, ...packed } = model;
    this.ask("open", { packed });
  }

  /**
   * Draw what is not known of an image.
   * @param {{levels?: Uint8Array, known?: Uint8Array, uniforms?: Float64Array, label?: number,
   *   temperature?: number}} request
   * @param {function(Object)} onrow called after each row with what is there, and how many `rows`
   */
  fill(request, onrow = null) {
    return this.ask("fill", { ...request, byRow: Boolean(onrow) }, onrow);
  }

  /** What the network says of an image that is all known. */
  read(levels, label) {
    return this.fill({ levels, known: new Uint8Array(levels.length).fill(1), label });
  }

  /** The pixels that the prediction of a pixel depends on. */
  field(row, column) {
    return this.ask("field", { row, column });
  }

  ask(kind, question, onpart = null) {
    const id = (this.count += 1);
    return new Promise((resolve) => {
      this.asked.set(id, { resolve, onpart });
      this.worker.postMessage({ id, kind, ...question });
    });
  }

  receive({ id, part, found }) {
    const { resolve, onpart } = this.asked.get(id);
    if (part) return onpart(part);
    this.asked.delete(id);
    return resolve(found);
  }
}
