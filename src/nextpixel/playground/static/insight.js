/** What one model says of one image: its distributions, and the bits of each pixel. No page. */

import { decodeFloats } from "./bytes.js";
import { sum } from "./format.js";

export class Insight {
  /**
   * @param {Object} answer of api/inspect: of all pixels, or of one
   * @param {Images} images that it is about
   */
  constructor(answer, { colors, height, width }) {
    this.answer = answer;
    [this.colors, this.height, this.width, this.levels] = answer.shape;
    this.probabilities = decodeFloats(answer.probabilities);
    const steps = decodeFloats(answer.bits);
    const size = height * width;
    this.bits = Float64Array.from({ length: size }, (_, cell) =>
      Math.max(0, sum(Array.from({ length: colors }, (__, color) => steps[color * size + cell]))),
    );
    this.most = this.bits.reduce((most, bits) => Math.max(most, bits), 0);
  }

  /** Whether it has the distributions of a pixel. */
  covers(row, column) {
    const [down, right] = [row - this.answer.row, column - this.answer.column];
    return down >= 0 && right >= 0 && down < this.height && right < this.width;
  }

  /** The distributions of a pixel: for each color, how likely each level is. */
  at(row, column) {
    const [down, right] = [row - this.answer.row, column - this.answer.column];
    return Array.from({ length: this.colors }, (_, color) => {
      const place = (color * this.height + down) * this.width + right;
      return this.probabilities.subarray(place * this.levels, (place + 1) * this.levels);
    });
  }

  /** How likely the likeliest level is; of colors, that where it is least so. */
  sureness(row, column) {
    return Math.min(...this.at(row, column).map((levels) => levels.reduce(larger)));
  }

  /** Row and column of a pixel by its number. */
  place(cell) {
    return [Math.floor(cell / this.width), cell % this.width];
  }

  /** How uncertain each pixel is, in bits; of an insight into all pixels. */
  get entropies() {
    this.known ??= Array.from(this.bits, (_, cell) => this.entropy(...this.place(cell)));
    return this.known;
  }

  /** How uncertain the most uncertain pixel is. */
  get mostEntropy() {
    this.knownMost ??= this.entropies.reduce(larger, 0);
    return this.knownMost;
  }

  /** How uncertain a pixel is, in bits. */
  entropy(row, column) {
    const one = (levels) => -sum(Array.from(levels, (p) => (p > 0 ? p * Math.log2(p) : 0)));
    return sum(this.at(row, column).map(one));
  }
}

/** How far two models differ at a pixel: the larger part of a color that one moves, 0 to colors. */
export function distance(one, other, row, column) {
  const [first, second] = [one.at(row, column), other.at(row, column)];
  return sum(first.map((levels, color) => apart(levels, second[color])));
}

/** Numbers of the pixels of an image by what makes them worth a look, that which is most first. */
export function byInterest([one, other], { height, width }) {
  const worth = (cell) => {
    const place = [Math.floor(cell / width), cell % width];
    return other ? distance(one, other, ...place) : one.entropy(...place);
  };
  const all = Array.from({ length: height * width }, (_, cell) => [worth(cell), cell]);
  const found = height > 1 ? all.slice(width) : all; // the first row sees next to nothing
  return found.sort((a, b) => b[0] - a[0]).map(([, cell]) => cell);
}

function apart(one, other) {
  let total = 0;
  for (let level = 0; level < one.length; level += 1) total += Math.abs(one[level] - other[level]);
  return total / 2;
}

function larger(one, other) {
  return Math.max(one, other);
}
