/** Exponentials and logarithms as the CPU engine computes them, to the bit: see runtime/vectors.py
 * and runtime/numbers.py. A number of 32 bits is a JavaScript number that `Math.fround` leaves as
 * it is: a sum, product or quotient of two of them, rounded once more, is what 32 bits give. */

const f = Math.fround;

/** 2^0, 2^-1, 2^-2, ... exactly. */
const HALVES = Float64Array.from({ length: 1023 }, (_, n) => 2 ** -n);

/** 1 / k!, divided in the order of the engine. */
const INVERSE_FACTORIALS = [1];
for (let k = 1; k <= 13; k += 1) INVERSE_FACTORIALS.push(INVERSE_FACTORIALS[k - 1] / k);
const [, , T2, T3, T4, T5, T6, T7] = INVERSE_FACTORIALS.map(f);
const [PER_LN2, LN2, LN2_REST] = [1.4426950408889634, 0.693359375, -2.12194440054690583e-4].map(f);
const SHIFT = 1.5 * 2 ** 23;

/** e^x for x <= 0, 32 bits. */
export function exp32(x) {
  if (x < -80) x = -80;
  const n = f(f(f(x * PER_LN2) + SHIFT) - SHIFT);
  const r = f(f(x - f(n * LN2)) - f(n * LN2_REST));
  let total = f(f(T7 * r) + f(INVERSE_FACTORIALS[6]));
  total = f(f(total * r) + T5);
  total = f(f(total * r) + T4);
  total = f(f(total * r) + T3);
  total = f(f(total * r) + T2);
  total = f(f(total * r) + 1);
  total = f(f(total * r) + 1);
  return f(total * HALVES[-n]);
}

const SHIFT64 = 1.5 * 2 ** 52;

/** e^x for x <= 0, 64 bits. */
export function exp64(x) {
  if (x < -700) x = -700;
  const n = x * 1.4426950408889634 + SHIFT64 - SHIFT64;
  const r = x - n * 0.69314718036912381649 - n * 1.90821492927058770002e-10;
  let total = INVERSE_FACTORIALS[13];
  for (let k = 12; k >= 0; k -= 1) total = total * r + INVERSE_FACTORIALS[k];
  return total * HALVES[-n];
}

/** The natural logarithm of x in (0, 1e300], 64 bits. */
export function log64(x) {
  if (!(x > 0 && x < 1e300)) return NaN;
  let n = 0;
  for (; x < 2 ** -26; n -= 26) x *= 2 ** 26;
  for (; x > 1.42; n += 1) x *= 0.5;
  for (; x < 0.71; n -= 1) x *= 2;
  const s = (x - 1) / (x + 1);
  const square = s * s;
  let total = 0;
  for (let k = 23; k > 1; k -= 2) total = (total + 1 / k) * square;
  return 2 * s * (total + 1) + n * 0.6931471805599453;
}

/** tanh(x) sigmoid(y), 32 bits, with one division. */
export function gated(x, y) {
  const a = exp32(x < 0 ? f(x + x) : -f(x + x));
  const b = exp32(y < 0 ? y : -y);
  const size = f(1 - a);
  const top = f((x < 0 ? -size : size) * (y < 0 ? b : 1));
  return f(top / f(f(a + 1) * f(b + 1)));
}
