/** The exhibit: one engine in a worker, and sections, each begun when it is first seen. */

import { DrawView } from "./drawing.js";
import { Engine } from "./engine.js";
import { FillView } from "./filling.js";
import { LookView } from "./looking.js";
import { Stations } from "./stations.js";

const VIEWS = { draw: DrawView, fill: FillView, look: LookView };

/** Make a section's view when it is first seen, and tell it whether it is. */
function watch(name, View, engine) {
  const section = document.getElementById(name);
  let view = null;
  const see = ([entry]) => {
    if (entry.isIntersecting) view ??= new View(section.querySelector(".view"), engine);
    view?.setSeen?.(entry.isIntersecting);
  };
  new IntersectionObserver(see, { rootMargin: "80px" }).observe(section);
  window.addEventListener("hashchange", () => view?.restore?.());
}

/** Go to the section that the address names, also where it says more than that. */
function follow() {
  const [name, more] = location.hash.slice(1).split("?");
  if (more) document.getElementById(name)?.scrollIntoView();
}

function fail(words) {
  Object.assign(document.getElementById("notice"), { hidden: false, textContent: words });
}

function begin() {
  const model = globalThis.nextpixelModel;
  if (model) open(new Engine(model, fail));
  else fail("The file model.js is missing next to this page, or damaged.");
}

function open(engine) {
  const { model } = engine;
  document.getElementById("model").textContent = `${model.name} (${model.title})`;
  for (const [name, View] of Object.entries(VIEWS)) watch(name, View, engine);
  if (Stations) {
    for (const node of document.querySelectorAll("#ideas, [href='#ideas']")) node.hidden = false;
    watch("ideas", Stations, []);
  }
  follow();
  globalThis.nextpixel = { engine }; // for the curious, on the console
}

begin();
