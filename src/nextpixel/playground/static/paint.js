/** Levels, fields and surprise as cells of color on a canvas, one canvas pixel a cell. */

/** Not drawn yet, or erased: no level of an image has this blue. */
export const UNKNOWN = [74, 118, 178];

/** The pixel itself, its receptive field, earlier pixels outside of it, later ones. */
export const FIELD = {
  here: [200, 54, 94],
  seen: [58, 121, 178],
  blind: [233, 150, 47],
  far: [228, 209, 178],
  later: [158, 162, 168],
};

/** Color each cell of a canvas by `colorAt(row, column)` -> [red, green, blue], 0..255. */
export function paintCells(canvas, height, width, colorAt) {
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
  }
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let cell = 0; cell < height * width; cell += 1) {
    const [red, green, blue] = colorAt(Math.floor(cell / width), cell % width);
    pixels.data.set([red, green, blue, 255], 4 * cell);
  }
  context.putImageData(pixels, 0, 0);
}

/** Paint one image; rows from `rows` on are not drawn yet, save pixels that are `known` (H, W). */
export function paintImage(canvas, images, index, rows = images.height, known = null) {
  const there = (row, column) => row < rows || known?.[row * images.width + column];
  paintCells(canvas, images.height, images.width, (row, column) =>
    there(row, column) ? colorOf(images, index, row, column) : UNKNOWN,
  );
  canvas.dataset.rows = rows;
}

/** The color of a pixel: gray of one color, or red, green and blue. */
export function colorOf(images, index, row, column) {
  const scale = 255 / (images.levels - 1);
  const value = (color) => Math.round(images.at(index, color, row, column) * scale);
  if (images.colors === 3) return [value(0), value(1), value(2)];
  return [value(0), value(0), value(0)];
}

/** Bits -> color: paper for what was expected, through amber to dark red for the surprising. */
export function surpriseColor(bits, most) {
  const share = Math.min(1, bits / most) * (STOPS.length - 1);
  const below = Math.min(Math.floor(share), STOPS.length - 2);
  const part = share - below;
  return STOPS[below].map((value, i) => value + part * (STOPS[below + 1][i] - value));
}

const STOPS = [
  [250, 247, 240],
  [250, 199, 98],
  [221, 96, 52],
  [110, 14, 60],
];
