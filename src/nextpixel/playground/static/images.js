/** Images as levels 0..K-1, uint8, shape (N, C, H, W): the form in which they travel. */

import { decode, encode } from "./bytes.js";

export class Images {
  /**
   * @param {number[]} shape (N, C, H, W)
   * @param {number} levels K
   * @param {Uint8Array} data in C order
   */
  constructor(shape, levels, data) {
    this.shape = shape;
    this.levels = levels;
    this.data = data;
    [this.count, this.colors, this.height, this.width] = shape;
  }

  /** All levels zero. */
  static blank(count, [colors, height, width], levels) {
    const data = new Uint8Array(count * colors * height * width);
    return new Images([count, colors, height, width], levels, data);
  }

  /** From JSON: one image, shape (C, H, W), or several, (N, C, H, W). */
  static unpack({ shape, levels, data }) {
    return new Images(shape.length === 3 ? [1, ...shape] : shape, levels, decode(data));
  }

  /** To JSON, shape (N, C, H, W). */
  pack() {
    return { shape: this.shape, levels: this.levels, data: encode(this.data) };
  }

  /** To JSON, shape (C, H, W): the first image. */
  packOne() {
    const first = this.one(0);
    return { shape: this.shape.slice(1), levels: this.levels, data: encode(first.data) };
  }

  /** A copy of image `index`. */
  one(index) {
    const size = this.data.length / this.count;
    const data = this.data.slice(index * size, (index + 1) * size);
    return new Images([1, ...this.shape.slice(1)], this.levels, data);
  }

  /** Images of both, those of `other` last. */
  with(other) {
    const data = new Uint8Array(this.data.length + other.data.length);
    data.set(this.data);
    data.set(other.data, this.data.length);
    const shape = [this.count + other.count, ...this.shape.slice(1)];
    return new Images(shape, this.levels, data);
  }

  /** The level of a step. */
  at(index, color, row, column) {
    return this.data[this.place(index, color, row, column)];
  }

  /** The levels of a pixel of the first image, one a color. */
  pixel(row, column) {
    return Array.from({ length: this.colors }, (_, color) => this.at(0, color, row, column));
  }

  /** Set the level of a step. */
  set(index, color, row, column, level) {
    this.data[this.place(index, color, row, column)] = level;
  }

  /** Set a row of all images from bytes of shape (N, C, 1, W). */
  setRow(row, bytes) {
    for (let line = 0; line < this.count * this.colors; line += 1) {
      const part = bytes.subarray(line * this.width, (line + 1) * this.width);
      this.data.set(part, (line * this.height + row) * this.width);
    }
  }

  place(index, color, row, column) {
    return ((index * this.colors + color) * this.height + row) * this.width + column;
  }
}
