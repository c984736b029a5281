/** The receptive field of a pixel: which pixels a prediction can depend on, by the spans of memory
 * that each operation reads. Nothing is computed with weights. */

/**
 * @param {Object} tables of the network, as in network.js
 * @returns {Uint8Array} 1 for pixels that are seen, row by row
 */
export function fieldOf(tables, row, column) {
  const [, height, width] = tables.shape;
  const marks = tables.maps.map(() => new Uint8Array(height * width));
  marks[tables.output][row * width + column] = 1;
  const every = tables.phases.flatMap(({ ops, spans }) => ops.map((op) => [op, spans]));
  for (let z = marks.length - 1; z > 0; z -= 1) {
    for (const [op, spans] of every) {
      if (op.z === z) trace(op, spans, tables.maps, marks, width);
    }
  }
  return marks[0];
}

/** Mark what one operation reads for the places that are marked in its output. */
function trace(op, spans, maps, marks, width) {
  const [from, made] = [marks[op.x], marks[op.z]];
  const read = op.step === "conv" ? offsets(op, spans, maps) : [[0, 0]];
  const other = op.step === "add" ? marks[op.y] : from;
  for (let at = 0; at < made.length; at += 1) {
    if (!made[at]) continue;
    const [row, column] = [Math.floor(at / width), at % width];
    for (const [down, right] of read) mark(from, row + down, column + right, width);
    if (other !== from) other[at] = 1;
  }
}

function mark(places, row, column, width) {
  const inside = row >= 0 && column >= 0 && column < width && row * width < places.length;
  if (inside) places[row * width + column] = 1;
}

/** Rows and columns that a convolution reads; a span may run over several columns. */
function offsets({ first, spans: count }, spans, maps) {
  return spans.slice(first, first + count).flatMap(({ row, column, feature, map, length }) => {
    const columns = Math.ceil((feature + length) / maps[map].features);
    return Array.from({ length: columns }, (_, n) => [row, column + n]);
  });
}
