/** A wall of images that is drawn anew, row by row, over the images that hung there. */

import { Images } from "./images.js";
import { Tiles } from "./tiles.js";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Wall {
  /** @param {number[]} shape (N, C, H, W); until the first images come, nothing is drawn */
  constructor([count, ...shape]) {
    this.images = Images.blank(count, shape, 2);
    this.tiles = new Tiles("Sample of the net");
    this.tiles.show(this.images, 0);
    this.tiles.node.classList.add("wall");
    this.node = this.tiles.node;
  }

  /** @param {number[]|null} labels a class for each image, if it has one */
  caption(labels) {
    this.tiles.caption(Array.from({ length: this.images.count }, (_, i) => labels?.[i] ?? ""));
  }

  /** Hang other images, a row a frame where motion is welcome; newer ones overtake older ones. */
  async redraw(images) {
    this.newest = images;
    for (let row = 0; row < images.height && this.newest === images; row += 1) {
      this.copyRow(images, row);
      if (still.matches || document.hidden) continue;
      this.tiles.paint(this.images);
      await frame();
    }
    this.tiles.paint(this.images);
  }

  copyRow({ count, colors, height, width, data }, row) {
    for (let plane = 0; plane < count * colors; plane += 1) {
      const start = (plane * height + row) * width;
      this.images.data.set(data.subarray(start, start + width), start);
    }
  }
}

function frame() {
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
  });
}
