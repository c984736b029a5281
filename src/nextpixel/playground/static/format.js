/** Numbers in words: one way for all views. */

/** A number with so many digits after the point, and thousands set apart; none is -0. */
export function number(value, digits = 0) {
  const rounded = Number(value.toFixed(digits)) + 0;
  return rounded.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Nats of an image. */
export function nats(value) {
  return `${number(value, 1)} nats`;
}

/** Bits, and the bytes they are. */
export function bits(value) {
  return `${number(value, 1)} bits`;
}

/** Bytes. */
export function bytes(value) {
  return `${number(value)} ${value === 1 ? "byte" : "bytes"}`;
}

/** One thing, or several. */
export function several(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** A share of one, in percent, with the digits it needs. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "<0.1 %";
  if (share < 1 && share > 0.999) return ">99.9 %";
  return `${number(100 * share, 1)} %`;
}

/** The sum of an array. */
export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
