/** Uniforms that follow from a seed, so that a picture can be drawn again. */

/**
 * @param {number} seed a whole number
 * @returns {Float64Array} numbers in [0, 1) of 53 bits
 */
export function uniformsOf(seed, count) {
  const next = bitsFrom(seed);
  const one = () => (next() >>> 5) * 2 ** -27 + (next() >>> 6) * 2 ** -53;
  return Float64Array.from({ length: count }, one);
}

/** A stream of 32 random bits each: a counter, mixed (the finalizer of MurmurHash3). */
function bitsFrom(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return (bits ^ (bits >>> 16)) >>> 0;
  };
}
