/** A line at the foot of the page while requests wait for a server that is busy. */

import { el } from "./dom.js";

const line = el("p", { class: "busy", role: "status" });

window.addEventListener("busy", ({ detail }) => {
  line.textContent = detail ? "The server is busy; trying again…" : "";
});
document.body.append(line);
