/** What is asked of the server about an image: all its pixels at once, or one where it is large. */

import { get, post } from "./api.js";
import { Insight } from "./insight.js";
import { patiently } from "./patient.js";
import { Fields } from "./receptive.js";

export class Questions {
  /** @param {{distributions: number, field_pixels: number}} limits of what is given at once */
  constructor(limits) {
    this.limits = limits;
    this.fields = new Map();
  }

  /**
   * What a model says of an image.
   * @param {Object} model
   * @param {Images} images
   * @param {number|null} label that it is conditioned on
   * @param {{row: number, column: number}} at the pixel, where not all can be asked about
   * @param {function(string)} say called with words while the server is busy
   * @param {AbortSignal} signal
   */
  async insight(model, images, label, at, say, signal) {
    const whole = images.data.length * model.levels <= this.limits.distributions;
    const body = { model: model.name, image: images.packOne(), label, ...(whole ? {} : at) };
    const answer = await patiently(() => post("api/inspect", body, signal), say);
    return new Insight(answer, images);
  }

  /** A model's receptive fields, asked for once; of large images that of a pixel. */
  async fieldsOf(model, { height, width }, { row, column }, say) {
    if (this.fields.has(model)) return this.fields.get(model);
    const whole = height * width <= this.limits.field_pixels;
    const query = whole ? "" : `?row=${row}&column=${column}`;
    const path = `api/models/${encodeURIComponent(model.name)}/fields${query}`;
    const answer = await patiently(() => get(path), say);
    const fields = new Fields(answer, model.shape, whole ? null : row * width + column);
    if (whole) this.fields.set(model, fields);
    return fields;
  }
}
