/** How a level is chosen: by summed probabilities, as in engine/cpu/choosing.py. */

import { exp64, log64 } from "./numbers.js";

/** What heads make of a network's outputs: log-probabilities of the levels up to a constant. */
export const HEADS = {
  bernoulli: (state, at, p) => {
    p[0] = 0;
    p[1] = state[at];
  },
  categorical: (state, at, p) => {
    for (let k = 0; k < p.length; k += 1) p[k] = state[at + k];
  },
};

/** Probabilities up to a factor, into `weights`; their sum. */
export function weigh(p, largest, temperature, weights) {
  let total = 0;
  for (let k = 0; k < p.length; k += 1) {
    weights[k] = exp64((p[k] - largest) / temperature);
    total += weights[k];
  }
  return total;
}

/** The first level whose sum of weights up to it exceeds `reach`, else the last of any. */
export function pick(weights, reach) {
  let reached = 0;
  let last = 0;
  for (let k = 0; k < weights.length; k += 1) {
    reached += weights[k];
    if (reached > reach) return k;
    if (weights[k] > 0) last = k;
  }
  return last;
}

/**
 * Draws levels from log-probabilities.
 * @param {number} levels how many there are
 */
export class Chooser {
  constructor(levels) {
    this.p = new Float64Array(levels);
    this.weights = new Float64Array(levels);
    this.probabilities = new Float64Array(levels);
  }

  /** Read `p`: the probabilities at temperature 1, and what their weights sum to. */
  read() {
    this.largest = this.p.reduce((most, one) => (one > most ? one : most));
    this.total = this.heated(1);
  }

  /** The level for a uniform in [0, 1), after `read`; `probabilities` are those it is drawn by. */
  draw(uniform, temperature) {
    const total = temperature === 1 ? this.total : this.heated(temperature);
    return pick(this.weights, uniform * total);
  }

  heated(temperature) {
    const total = weigh(this.p, this.largest, temperature, this.weights);
    for (let k = 0; k < this.p.length; k += 1) this.probabilities[k] = this.weights[k] / total;
    return total;
  }

  /** Log-probability of a level at temperature 1, nats, after `read`. */
  logProbability(level) {
    return this.p[level] - this.largest - log64(this.total);
  }
}
