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

function begin() {
  const model = globalThis.nextpixelModel;
  const engine = new Engine(model, (words) => {
    const notice = document.getElementById("notice");
    Object.assign(notice, { hidden: false, textContent: words });
  });
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
