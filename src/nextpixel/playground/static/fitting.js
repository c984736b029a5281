/** Pictures of the reader's own, made to fit a model before they are compressed. */

import { several } from "./format.js";
import { Images } from "./images.js";

/**
 * Files as the server takes them: what fits goes as it is, other pictures are scaled.
 * @param {File[]} files pictures, or one .npy
 * @param {Object} model
 * @param {Object} limits of the server
 * @returns {Promise<{files: File[], words: string, images?: Images}>} what was done, in words, ""
 *   for nothing; `images`: what was made
 */
export async function fitted(files, model, limits) {
  if (files.some(({ name }) => /\.npy$/i.test(name))) return { files, words: "" };
  const bitmaps = await Promise.all(files.map(opened));
  const [width, height] = sizeFor(bitmaps, model, limits);
  const plain = await Promise.all(files.map((file) => isPlain(file, model)));
  const fits = (bitmap, i) => plain[i] && bitmap?.width === width && bitmap.height === height;
  if (bitmaps.some((bitmap) => !bitmap) || bitmaps.every(fits)) return { files, words: "" };
  const [colors] = model.shape;
  const levels = bitmaps.map((bitmap) => levelsOf(bitmap, width, height, model));
  const made = npyOf(levels, [levels.length, colors, height, width]);
  const inks = colors === 1 ? ", gray" : "";
  const words =
    `${several(files.length, "picture")} made to fit: ${width}\u00d7${height} pixels${inks}, ` +
    `${model.levels} levels; of that no bit is lost.`;
  const data = Uint8Array.from(levels.flatMap((one) => [...one]));
  const images = new Images([levels.length, colors, height, width], model.levels, data);
  return { files: [new File([made], "pictures.npy")], words, images };
}

/** A picture of the browser's own, or null where it is none: the server says so in its words. */
function opened(file) {
  return createImageBitmap(file).catch(() => null);
}

/** Whether a file is a PNG of 8 bits of a model's colors, not transparent (by its IHDR). */
async function isPlain(file, { shape: [colors] }) {
  const start = new Uint8Array(await file.slice(0, 26).arrayBuffer());
  const isPng = String.fromCharCode(...start.subarray(1, 4)) === "PNG";
  const [depth, kind] = start.subarray(24);
  return isPng && (colors === 3 ? depth === 8 && kind === 2 : depth <= 8 && kind === 0);
}

/** [width, height] for pictures: nets for photographs take any, others that of their images. */
function sizeFor(bitmaps, model, limits) {
  const [first] = bitmaps;
  const [colors, height, width] = model.shape;
  if (!first || model.levels < 256 || colors < 3) return [width, height];
  const most = Math.sqrt(limits.values / bitmaps.length / (colors * first.width * first.height));
  const scale = Math.min(1, most, limits.side / Math.max(first.width, first.height));
  return [first.width, first.height].map((side) => Math.max(1, Math.floor(side * scale)));
}

/** Levels (C, H, W) of a picture, drawn on white, its middle where the proportions are others. */
function levelsOf(bitmap, width, height, { shape: [colors], levels }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
  context.drawImage(bitmap, (width - wide) / 2, (height - high) / 2, wide, high);
  const { data } = context.getImageData(0, 0, width, height);
  const level = (value) => Math.min(levels - 1, Math.floor((value * levels) / 256));
  return Uint8Array.from({ length: colors * width * height }, (_, i) => {
    const [color, cell] = [Math.floor(i / (width * height)), 4 * (i % (width * height))];
    const [red, green, blue] = data.subarray(cell, cell + 3);
    const gray = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    return level(colors === 3 ? data[cell + color] : gray);
  });
}

/** A .npy of bytes (version 1.0 of the format). */
function npyOf(parts, shape) {
  const about = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = about.padEnd(64 * Math.ceil((about.length + 11) / 64) - 11) + "\n";
  const start = [0x93, ...[..."NUMPY"].map((letter) => letter.charCodeAt(0)), 1, 0];
  const size = [padded.length & 255, padded.length >> 8];
  return new Blob([Uint8Array.from([...start, ...size]), padded, ...parts]);
}
