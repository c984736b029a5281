/** Five things to find in an image, each checked by the numbers at hand. No page. */

import { number, percent } from "./format.js";

const SURE = 0.85;
const UNSURE = 0.7;
const BOUNDS = [`${100 * SURE} %`, `${100 * UNSURE} %`];
const EVEN = 0.97; // of the largest uncertainty, to count as the largest
const DEAR = 4; // bits

/**
 * A task: `ask` says what to find, `does` whether a pixel would do, `can` whether any could, `none`
 * why none can, `miss` what another pixel is instead, `hint` helps.
 *
 * All get a scene: `names` and `insights` of the models shown, `kinds(model, cell)` as seen from a
 * pixel, `changed(cell)`: the reader drew there, and `inked(cell)`: something is drawn there.
 */
export const TASKS = [
  {
    ask: ({ names: [one] }) => `Find the pixel that cost ${one} most.`,
    does: ({ insights: [one] }, cell) => one.bits[cell] >= 0.999 * one.most,
    miss: ({ insights: [one] }, cell) =>
      `This one cost ${number(one.bits[cell], 1)} bits; there is one of ${number(one.most, 1)}.`,
    hint: () => "Its map of costs has one darkest pixel. Surprises sit at the edges of strokes.",
  },
  {
    ask: ({ names: [one] }) => `Find the pixel where ${one} is least sure: its bars most even.`,
    does: ({ insights: [one] }, cell) => one.entropies[cell] >= EVEN * one.mostEntropy,
    miss: ({ insights: [one] }, cell) =>
      `Here it gives its likeliest level ${percent(sure(one, cell))}.`,
    hint: () => "Follow the rim of a stroke: is the next pixel still on it?",
  },
  {
    ask: ({ names: [one, other] }) =>
      other
        ? `Find a pixel where one of ${one} and ${other} is sure (${BOUNDS[0]} or more ` +
          `for a level) and the other is not (${BOUNDS[1]} at most).`
        : "Find a pixel where one of two models is sure and the other is not.",
    does: ({ insights: [one, other] }, cell) =>
      other !== undefined && disagree(sure(one, cell), sure(other, cell)),
    none: ({ names }) =>
      names[1] ? "On this image they are sure of the same pixels." : "Choose a second model first.",
    miss: ({ insights, names }, cell) => {
      const each = insights.map((one, i) => `${names[i]} is ${percent(sure(one, cell))} sure`);
      return `Here ${each.join(", ")}.`;
    },
    hint: () => "Where a stroke might end or turn, one of them may see more than the other.",
  },
  {
    ask: ({ names }) =>
      "Find a pixel from where a part of the drawing lies in a blind spot of " +
      `${names.join(" or ")}.`,
    does: ({ names, kinds, inked }, cell) =>
      names.some((_, i) => kinds(i, cell).some((kind, at) => kind === "blind" && inked(at))),
    none: () => "No model shown here has anything of this drawing in a blind spot.",
    miss: ({ names, kinds }, cell) =>
      names.some((_, i) => kinds(i, cell).includes("blind"))
        ? "The blind spot of this pixel holds nothing that is drawn."
        : "This pixel has no blind spot.",
    hint: () => "A blind spot lies above and to the right: point below and to the left of ink.",
  },
  {
    ask: () => `Draw a pixel that no model expected: one that costs each ${DEAR} bits or more.`,
    does: ({ insights, changed }, cell) =>
      changed(cell) && insights.every((one) => one.bits[cell] >= DEAR),
    can: ({ insights }) => cellsOf(insights[0]).some((cell) => couldSurprise(insights, cell)),
    none: () => "On this image no pixel could cost them so much.",
    miss: ({ insights, changed }, cell) =>
      changed(cell)
        ? `It cost ${insights.map((one) => number(one.bits[cell], 1)).join(" and ")} bits.`
        : "Choose Draw below the picture, and change a pixel.",
    hint: () => "Models are surest far from any stroke: a single dot in the void is dear.",
    drawn: true,
  },
];

/** Whether a task can be solved on what is shown. */
export function solvable(task, scene) {
  if (task.can) return task.can(scene);
  return cellsOf(scene.insights[0]).some((cell) => task.does(scene, cell));
}

/** A pixel that the reader drew and that solves a task, or undefined. */
export function drawnSolution(task, scene) {
  return cellsOf(scene.insights[0]).find((cell) => task.does(scene, cell));
}

function cellsOf({ bits }) {
  return Array.from(bits, (_, cell) => cell);
}

function sure(insight, cell) {
  return insight.sureness(...insight.place(cell));
}

function disagree(one, other) {
  return Math.max(one, other) >= SURE && Math.min(one, other) <= UNSURE;
}

/** Whether some level of a pixel was given too little by all models. */
function couldSurprise(insights, cell) {
  const [least, ...others] = insights.map((one) => one.at(...one.place(cell))[0]);
  const little = (levels, level) => levels[level] <= 2 ** -DEAR;
  return least.some((_, level) => [least, ...others].every((levels) => little(levels, level)));
}
