/** A drawing job of the server: its place in the queue, its rows as they come, its end. */

import { events, get, Refusal } from "./api.js";
import { Images } from "./images.js";
import { decode } from "./bytes.js";
import { several } from "./format.js";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Job {
  /**
   * @param {HTMLElement} status a live region: what is going on, in words
   * @param {HTMLButtonElement} stop
   */
  constructor(status, stop) {
    this.status = status;
    this.stop = stop;
    stop.addEventListener("click", () => {
      if (this.working) this.cancel();
    });
    this.busy(false);
  }

  /**
   * Run a job to its end.
   * @param {string} path of the server
   * @param {Object} body
   * @param {{onstart: function(Images), onrow: function(Images, number)}} on
   * @returns {Promise<Object|null>} the last event, or null where it was stopped
   * @throws {Refusal}
   */
  async run(path, body, on) {
    this.cancel();
    const control = new AbortController();
    this.control = control;
    this.busy(true);
    this.say("Asking the server…");
    try {
      return await this.follow(events(path, body, control.signal), on);
    } catch (error) {
      if (error.name !== "AbortError") throw this.ended(error);
      if (this.control === control) this.say("Stopped.");
      return null;
    } finally {
      if (this.control === control) this.busy(false);
    }
  }

  /** Stop the job, if one is running. */
  cancel() {
    this.control?.abort();
  }

  say(text) {
    this.status.textContent = text;
  }

  busy(now) {
    this.working = now;
    this.stop.setAttribute("aria-disabled", String(!now)); // disabled, it would lose the focus
    this.status.parentElement?.setAttribute("aria-busy", String(now));
  }

  async follow(stream, on) {
    let images = null;
    let last = null;
    for await (const event of stream) {
      if (event.event === "queued") await this.queued(event.ahead);
      if (event.event === "error") throw new Refusal(event.message, event.field);
      if (event.event === "done") last = event;
      if (event.event === "start") {
        images = Images.blank(event.shape[0], event.shape.slice(1), event.levels);
        this.say(`Drawing ${several(images.count, "image")}, row by row…`);
        on.onstart(images);
      }
      if (event.event === "row") {
        images.setRow(event.row, decode(event.data));
        on.onrow(images, event.row + 1);
        await frame(); // at most one row a frame, so that the eye can follow
      }
    }
    if (last) return last;
    throw new Refusal("The server ended before the images were done.");
  }

  async queued(ahead) {
    const queue = await get("api/queue").catch(() => null);
    if (queue && !queue.ready) {
      this.say("The engine is being warmed up, once after the start. Your job is next…");
    } else if (ahead) {
      const room = queue ? ` The queue holds ${queue.limit}.` : "";
      this.say(`Waiting: ${several(ahead, "job")} ahead of yours.${room}`);
    } else {
      this.say("Your turn…");
    }
  }

  ended(error) {
    this.say("");
    return error;
  }
}

function frame() {
  if (still.matches || document.hidden) return null;
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
  });
}
