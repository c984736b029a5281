/** Which pixels stacks of masked layers can see: sets of places, carried back through the taps.
 * A set is a Uint8Array with one entry a place; taps are rows and columns from a place to what it
 * reads. The masks are those of the library, nextpixel.nn.masks and nextpixel.nn.gated.
 */

/** Taps of a masked kernel: all before the centre, and the centre where it sees itself (mask B). */
export function maskedTaps(side, seesSelf) {
  const reach = (side - 1) / 2;
  const above = rectangle([-reach, -1], [-reach, reach]);
  return [...above, ...rowTaps(side, seesSelf)];
}

/** Taps of the horizontal stack: its own row, to the left. */
export function rowTaps(side, seesSelf) {
  return rectangle([0, 0], [-(side - 1) / 2, seesSelf ? 0 : -1]);
}

/**
 * Taps of the vertical stack: whole rows. In the first layer they read the image, and are moved
 * down by one row, so that the row itself is not seen, unless `shift` is false.
 */
export function verticalTaps(side, first, shift = true) {
  const reach = (side - 1) / 2;
  const rows = first ? [Number(!shift) - reach, shift ? -1 : 0] : [-reach, 0];
  return rectangle(rows, [-reach, reach]);
}

/**
 * The pixels that one stack of masked layers sees, the first with mask A, the others with mask B.
 * @param {{height: number, width: number}} size of the image
 * @param {[number, number]} pixel whose prediction sees them
 */
export function fieldOfOne(size, pixel, layers, side) {
  let seen = only(size, pixel);
  for (let layer = 1; layer < layers; layer += 1)
    seen = through(size, seen, maskedTaps(side, true));
  return through(size, seen, maskedTaps(side, false));
}

/**
 * What the horizontal stack of two holds of the image.
 * @returns {{left: Uint8Array, given: Uint8Array}} what it sees itself, and what the vertical stack
 *   has given it
 */
export function fieldOfTwo(size, pixel, layers, side, shift = true) {
  return held(size, only(size, pixel), none(size), { layers, side, shift });
}

/** What the vertical stack holds of the image at a place. */
export function fieldOfVertical(size, pixel, layers, side, shift = true) {
  return held(size, none(size), only(size, pixel), { layers, side, shift }).given;
}

/** Pixels in either set. */
export function union(one, other) {
  return one.map((has, i) => has | other[i]);
}

/** How many pixels of a set are so. */
export function count(set, so = () => true) {
  return set.reduce((total, has, i) => total + Number(has && so(i)), 0);
}

/** Both stacks, from the last layer back: the places of each that are read. */
function held(size, row, above, { layers, side, shift }) {
  for (let layer = 1; layer < layers; layer += 1) {
    above = through(size, union(row, above), verticalTaps(side, false));
    row = through(size, row, rowTaps(side, true));
  }
  const given = through(size, union(row, above), verticalTaps(side, true, shift));
  return { left: through(size, row, rowTaps(side, false)), given };
}

/** What places read, within the image. */
function through({ height, width }, places, taps) {
  const read = new Uint8Array(places.length);
  places.forEach((has, i) => {
    if (!has) return;
    for (const [down, right] of taps) {
      const [row, column] = [Math.floor(i / width) + down, (i % width) + right];
      const inside = row >= 0 && row < height && column >= 0 && column < width;
      if (inside) read[row * width + column] = 1;
    }
  });
  return read;
}

function none({ height, width }) {
  return new Uint8Array(height * width);
}

function only(size, [row, column]) {
  const set = none(size);
  set[row * size.width + column] = 1;
  return set;
}

function rectangle([top, bottom], [left, right]) {
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  return range(top, bottom).flatMap((row) => range(left, right).map((column) => [row, column]));
}
