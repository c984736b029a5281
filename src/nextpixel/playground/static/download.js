/** Files for the reader's own disk. */

import { fetchFile, wordsOf } from "./api.js";
import { button, el } from "./dom.js";

const NAMES = { png: "PNG", npy: ".npy", gif: "GIF of the scan" };

/** Hand a blob to the reader as a file. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/**
 * Buttons that save images in some formats.
 * @param {string} stem of the file name
 * @param {string[]} formats of png, npy, gif
 * @param {function(): Images} images what to save
 */
export function saveButtons(stem, formats, images) {
  const error = el("p", { class: "error", role: "alert" });
  const make = (format) =>
    button(NAMES[format], async () => {
      error.textContent = "";
      try {
        const file = await fetchFile("api/export", { images: images().pack(), format });
        save(file, `${stem}.${format}`);
      } catch (failure) {
        error.textContent = wordsOf(failure);
      }
    });
  const words = el("span", {}, "Save as");
  return el("div", { class: "save" }, words, formats.map(make), error);
}
