/** The page: asks which models there are, and brings each view to life when it is first shown. */

import { get, wordsOf } from "./api.js";
import { CompleteView } from "./complete.js";
import { CompressView } from "./compress.js";
import { LookView } from "./look.js";
import { SampleView } from "./sample.js";
import { bringTabs } from "./tabs.js";

const VIEWS = {
  sample: SampleView,
  complete: CompleteView,
  look: LookView,
  compress: CompressView,
};
const NONE = {
  sample: "None of the models served here can draw by itself.",
  complete: "None of the models served here can complete images.",
  look: "None of the models served here can be looked into.",
  compress: "None of the models served here can compress: that takes one told nothing, or a class.",
};

async function begin() {
  const notice = document.getElementById("notice");
  try {
    const { models, limits } = await get("api/models");
    notice.hidden = true;
    bringTabs(document.querySelector("[role=tablist]"), (name) => bring(name, models, limits));
  } catch (refusal) {
    notice.textContent = wordsOf(refusal);
  }
}

const brought = new Set();

function bring(name, models, limits) {
  if (brought.has(name)) return;
  brought.add(name);
  const place = document.querySelector(`#${name} .view`);
  const able = ({ usable, condition }) => usable && (name !== "compress" || condition !== "other");
  if (models.some(able)) new VIEWS[name](place, models, limits);
  else place.textContent = NONE[name];
}

/** A file that misses its place must not take the page away. */
for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => event.preventDefault());
}

begin();
