/** The page: its tabs, each view made when first shown, with the models that the server has. */

import "./busy.js";
import { viewOf } from "./address.js";
import { get, wordsOf } from "./api.js";
import { CompleteView } from "./complete.js";
import { CompressView } from "./compress.js";
import { IdeasView } from "./ideas.js";
import { InspectView } from "./inspect.js";
import { SampleView } from "./sample.js";
import { TrainView } from "./train.js";

const VIEWS = {
  sample: SampleView,
  complete: CompleteView,
  inspect: InspectView,
  train: TrainView,
  compress: CompressView,
  ideas: IdeasView,
};
const NONE = {
  sample: "None of the models served here can draw by itself.",
  complete: "None of the models served here can complete images.",
  inspect: "None of the models served here can be inspected.",
  compress: "None of the models served here can compress: a condition must be none, or a class.",
};

async function begin() {
  const notice = document.getElementById("notice");
  try {
    const { models, limits } = await get("api/models");
    notice.hidden = true;
    startTabs(document.querySelector("[role=tablist]"), (name) => showView(name, models, limits));
  } catch (refusal) {
    notice.textContent = wordsOf(refusal);
  }
}

const made = new Map();

/** Make a view when it is first shown; after that, have it show what the address now says. */
function showView(name, models, limits) {
  if (made.has(name)) {
    made.get(name)?.restore?.();
    return;
  }
  const place = document.querySelector(`#${name} .view`);
  const able = ({ usable, condition }) => usable && (name !== "compress" || condition !== "other");
  const shown = ["train", "ideas"].includes(name) || models.some(able);
  made.set(name, shown ? new VIEWS[name](place, models, limits) : null);
  if (!shown) place.textContent = NONE[name];
}

/** A file that misses its place must not take the page away. */
for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => event.preventDefault());
}

/**
 * Make tabs after the ARIA pattern. The chosen one stands in the address with what it shows, to be
 * linked; Back restores the one before.
 * @param {HTMLElement} list has role tablist; its tabs name their panels by aria-controls
 * @param {function(string)} onshow called with the name of the panel shown
 */
function startTabs(list, onshow) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const named = () => tabs.find((tab) => nameOf(tab) === viewOf()) ?? tabs[0];
  const left = new Map(); // addresses of views, as they were left
  const show = (chosen) => {
    for (const tab of tabs) mark(tab, tab === chosen);
    if (viewOf() !== nameOf(chosen)) history.replaceState(null, "", `#${nameOf(chosen)}`);
    onshow(nameOf(chosen));
  };
  const choose = (tab) => {
    if (viewOf() === nameOf(tab)) return;
    left.set(viewOf(), location.hash);
    history.pushState(null, "", left.get(nameOf(tab)) ?? `#${nameOf(tab)}`);
    for (const one of tabs) mark(one, one === tab);
    if (!made.has(nameOf(tab))) onshow(nameOf(tab));
    tab.focus();
  };
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab));
  list.addEventListener("keydown", (event) => {
    const next = neighbor(tabs, tabs.indexOf(document.activeElement), event.key);
    if (!next) return;
    event.preventDefault();
    choose(next);
  });
  window.addEventListener("popstate", () => show(named()));
  show(named());
}

function nameOf(tab) {
  return tab.getAttribute("aria-controls");
}

function mark(tab, chosen) {
  tab.setAttribute("aria-selected", String(chosen));
  tab.tabIndex = chosen ? 0 : -1;
  document.getElementById(nameOf(tab)).hidden = !chosen;
}

function neighbor(tabs, index, key) {
  const last = tabs.length - 1;
  const places = {
    ArrowRight: index === last ? 0 : index + 1,
    ArrowLeft: index === 0 ? last : index - 1,
    Home: 0,
    End: last,
  };
  return tabs[places[key]];
}

begin();
