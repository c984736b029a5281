/** The steps of a network's operations, in the engine's order of sums: see program/ops.
 *
 * A step gets the arrays that are the same for all (`net`: `state`, `weights`, `bias`, `terms`,
 * `begins`, `lengths`) and a `call`: how many places, where the inputs and the output of the first
 * lie and how far the next is, and the numbers of the operation. */

import { gated } from "./numbers.js";

const f = Math.fround;
const WIDTH = 16; // outputs whose weights lie side by side

/** Sums of products on top of what is there, or of the biases. */
function conv(net, call) {
  const { state, weights } = net;
  const panel = call.inputs * WIDTH;
  for (let n = 0; n < call.places; n += 1) {
    const source = call.source + n * call.sourceStep;
    const target = call.target + n * call.targetStep;
    if (call.start) copy(state, target, net.bias, call.constant, call.features);
    for (let o = 0; o < call.features; o += WIDTH) {
      const w = call.weight + (o / WIDTH) * panel;
      eight(net, call, state, weights, source, target + o, w);
      eight(net, call, state, weights, source, target + o + 8, w + 8);
    }
  }
}

/** Eight outputs at a place, each a sum over the inputs in their order. */
function eight(net, call, state, weights, source, t, w) {
  const { begins, lengths } = net;
  let [a, b, c, d] = [state[t], state[t + 1], state[t + 2], state[t + 3]];
  let [p, q, r, s] = [state[t + 4], state[t + 5], state[t + 6], state[t + 7]];
  for (let span = call.first; span < call.first + call.spans; span += 1) {
    const begin = source + begins[span];
    const end = begin + lengths[span];
    for (let i = begin; i < end; i += 1, w += WIDTH) {
      const x = state[i];
      a = f(a + f(x * weights[w]));
      b = f(b + f(x * weights[w + 1]));
      c = f(c + f(x * weights[w + 2]));
      d = f(d + f(x * weights[w + 3]));
      p = f(p + f(x * weights[w + 4]));
      q = f(q + f(x * weights[w + 5]));
      r = f(r + f(x * weights[w + 6]));
      s = f(s + f(x * weights[w + 7]));
    }
  }
  state[t] = a;
  state[t + 1] = b;
  state[t + 2] = c;
  state[t + 3] = d;
  state[t + 4] = p;
  state[t + 5] = q;
  state[t + 6] = r;
  state[t + 7] = s;
}

function copy(state, target, from, at, count) {
  for (let i = 0; i < count; i += 1) state[target + i] = from[at + i];
}

/** A step that computes each feature by itself: `one(net, call, x, y, t, i)` is feature i. */
function each(one) {
  return (net, call) => {
    for (let n = 0; n < call.places; n += 1) {
      const x = call.source + n * call.sourceStep;
      const y = call.other + n * call.otherStep;
      const t = call.term + n * call.termStep;
      const target = call.target + n * call.targetStep;
      for (let i = 0; i < call.features; i += 1) {
        net.state[target + i] = one(net, call, x + i, y + i, t + i, i);
      }
    }
  };
}

const add = each(({ state }, _, x, y) => state[x] + state[y]);
const inject = each(({ state, terms }, _, x, __, term) => state[x] + terms[term]);
const relu = each(({ state }, _, x) => (state[x] < 0 ? 0 : state[x]));
const affine = each(
  ({ state, weights, bias }, call, x, _, __, i) =>
    f(state[x] * weights[call.weight + i]) + bias[call.constant + i],
);

/** tanh of the first half of the features times sigmoid of the second. */
const gate = each(({ state }, call, x) => gated(state[x], state[x + call.features]));

/** By the names of the operations. */
export const STEPS = { conv, add, inject, relu, affine, gate };
