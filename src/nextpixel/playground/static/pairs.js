/** Which two models to look at side by side: they must take the same images. */

import { sameImages } from "./picker.js";

const TOLD = { none: 0, class: 1, other: 3 };

/** Models that can stand beside one, in order. */
export function partners(models, model) {
  return models.filter((other) => other !== model && sameImages(other, model));
}

/**
 * A plain model and a gated one, else two that take the same images, else one: [first, second].
 * Of several such pairs, that which is told least.
 */
export function firstPair(models) {
  const pairs = models.flatMap((one) => partners(models, one).map((other) => [one, other]));
  const contrast = pairs.filter(([one, other]) => !isGated(one) && isGated(other));
  return leastTold(contrast) ?? leastTold(pairs) ?? [models[0], null];
}

function leastTold(pairs) {
  const told = ([one, other]) => TOLD[one.condition] + TOLD[other.condition];
  return [...pairs].sort((a, b) => told(a) - told(b))[0];
}

function isGated({ name, title }) {
  return /gated/i.test(`${name} ${title}`);
}
