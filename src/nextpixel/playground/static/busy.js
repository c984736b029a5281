/** A line at the foot of the page while requests wait for a server that is busy. */

import { el } from "./dom.js";

const line = el("p", { class: "asking", role: "status" });

window.addEventListener("busy", (event) => {
  const say = () => {
    const shown = event.detail && !event.defaultPrevented; // else the view says it
    line.textContent = shown ? "The server is busy; trying again…" : "";
  };
  queueMicrotask(say);
});
document.body.append(line);
