/** Which two models to begin with, so that what is compared can be compared. No page. */

import { sameImages, sameSet } from "./picker.js";

const CONDITIONS = { none: 0, class: 1, other: 3 };
const ONE_STACK = ["pixelcnn", "residual-pixelcnn"];
const OWN_ORDER = ["locally-masked", "mixture"];

/** Models that can be compared with one: of the same images, those of the same levels first. */
export function partners(models, model) {
  const others = models.filter((other) => other !== model && sameImages(other, model));
  return others.sort((a, b) => sameSet(b, model) - sameSet(a, model));
}

/** Whether two models learned from the same levels, so that their bits can be compared. */
export function alike(one, other) {
  return sameSet(one, other);
}

/**
 * A net of one stack, which has a blind spot, and one without, gated if there is one, both of the
 * same levels; else two that take the same images, those of the same levels first; else one.
 * Of several such pairs, that with the least condition, then that of the better second.
 */
export function firstPair(models) {
  const pairs = models.flatMap((one) => partners(models, one).map((other) => [one, other]));
  const fair = pairs.filter(([one, other]) => alike(one, other));
  const lesson = fair.filter(([one, other]) => isOneStack(one) && seesAround(other));
  const gated = lesson.filter(([, { kind }]) => kind === "gated-pixelcnn");
  const found = [gated, lesson, fair, pairs].find((some) => some.length);
  return found ? [...found].sort(byCondition)[0] : [models[0], null];
}

function isOneStack({ kind }) {
  return ONE_STACK.includes(kind);
}

function seesAround({ kind }) {
  return !ONE_STACK.includes(kind) && !OWN_ORDER.includes(kind);
}

function byCondition(a, b) {
  const weight = (pair) => CONDITIONS[pair[0].condition] + CONDITIONS[pair[1].condition];
  const cost = (pair) => pair.reduce((sum, { nats }) => sum + (nats ?? Infinity), 0);
  return weight(a) - weight(b) || cost(a) - cost(b) || 0;
}
