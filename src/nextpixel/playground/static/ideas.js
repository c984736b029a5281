/** The view Ideas: five stations, all computed in the page, whether a server is there or not. */

import { read, viewOf, write } from "./address.js";
import { el } from "./dom.js";
import { BlindSpot } from "./idea-blind.js";
import { Cost } from "./idea-cost.js";
import { Gate } from "./idea-gate.js";
import { Masks } from "./idea-masks.js";
import { Shift } from "./idea-shift.js";
import { Station } from "./station.js";

const NAME = "ideas";

export class IdeasView {
  constructor(place) {
    const keep = (station, state) => write(NAME, { station, ...state });
    const ideas = [new Masks(), new BlindSpot(), new Shift(), new Gate(), new Cost()];
    this.stations = ideas.map((idea) => new Station(idea, keep));
    place.append(
      this.contents(ideas),
      el(
        "div",
        { class: "stations" },
        this.stations.map(({ node }) => node),
      ),
    );
    this.restore();
  }

  /** Show the station that the address names. */
  restore() {
    if (viewOf() !== NAME) return;
    const query = read(NAME);
    this.stations.find(({ idea }) => idea.name === query.get("station"))?.restore(query);
  }
  /** Links to the stations; the one in the address already must be led to here. */
  contents(ideas) {
    const items = ideas.map(({ name, title }) => {
      const href = `#${NAME}?station=${name}`;
      const click = () => location.hash === href && this.restore();
      return el("li", {}, el("a", { href, click }, title));
    });
    return el("nav", { "aria-label": "Ideas" }, el("ol", { class: "contents" }, items));
  }
}
