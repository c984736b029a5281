/** Which two models to look at side by side: they must take the same images. */

import { sameImages } from "./picker.js";

/** Models that can stand beside one, in order. */
export function partners(models, model) {
  return models.filter((other) => other !== model && sameImages(other, model));
}

/** A plain model and a gated one, else two that take the same images, else one: [first, second]. */
export function firstPair(models) {
  const pairs = models.flatMap((one) => partners(models, one).map((other) => [one, other]));
  const told = ({ condition }) => condition === "class";
  const contrast = pairs.filter(([one, other]) => !isGated(one) && isGated(other));
  const plainest = contrast.find(([one, other]) => !told(one) && !told(other));
  return plainest ?? contrast[0] ?? pairs[0] ?? [models[0], null];
}

function isGated({ name, title }) {
  return /gated/i.test(`${name} ${title}`);
}
