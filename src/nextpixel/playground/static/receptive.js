/** The receptive fields of a model: of what kind each pixel is, seen from another. No page. */

import { decode } from "./bytes.js";

export class Fields {
  /**
   * @param {Object} answer of api/models/NAME/fields
   * @param {number[]} shape (C, H, W)
   * @param {number|null} only the pixel that the answer is about; null: all
   */
  constructor({ fields, pixels, indices }, [, height, width], only = null) {
    Object.assign(this, { height, width, only });
    this.size = height * width;
    this.bits = decode(fields);
    this.bytes = this.bits.length / pixels;
    this.indices = indices && new Uint32Array(decode(indices).buffer);
  }

  /** Whether it has the field of a pixel. */
  covers(here) {
    return this.only === null || this.only === here;
  }

  /** Whether the prediction at a pixel depends on another. */
  sees(here, cell) {
    const row = this.only === null ? here : 0;
    return Boolean(this.bits[row * this.bytes + (cell >> 3)] & (128 >> (cell & 7)));
  }

  /** When a pixel is visited. */
  index(cell) {
    return this.indices ? this.indices[cell] : cell;
  }

  /**
   * Of what kind each pixel is, seen from one: "here", "seen", "later", or, of those before it that
   * it does not see, "blind" within the box around what it sees, else "far".
   */
  kinds(here) {
    const cells = Array.from({ length: this.size }, (_, cell) => cell);
    const seen = cells.map((cell) => cell !== here && this.sees(here, cell));
    const near = box(
      cells.filter((cell) => cell === here || seen[cell]),
      this.width,
    );
    return cells.map((cell) => {
      if (cell === here) return "here";
      if (seen[cell]) return "seen";
      if (this.index(cell) > this.index(here)) return "later";
      return near(cell) ? "blind" : "far";
    });
  }
}

/** Whether a cell lies in the box around some. */
function box(cells, width) {
  const rows = cells.map((cell) => Math.floor(cell / width));
  const columns = cells.map((cell) => cell % width);
  const [top, bottom] = [Math.min(...rows), Math.max(...rows)];
  const [left, right] = [Math.min(...columns), Math.max(...columns)];
  return (cell) => {
    const [row, column] = [Math.floor(cell / width), cell % width];
    return row >= top && row <= bottom && column >= left && column <= right;
  };
}
