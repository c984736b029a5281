/** Asking again while the server is busy, with a word to the reader. */

import { Refusal } from "./api.js";

const BUSY = 503;
const TRIES = 12;
const SECONDS = 1.5; // to wait, and up to as long again: a class does not come back all at once

/**
 * Ask until the server is not busy any more.
 * @param {function(): Promise} ask
 * @param {function(string)} say called with words while it waits, and with "" once it asks again
 * @param {AbortSignal} signal
 */
export async function patiently(ask, say, signal) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== BUSY || tried === TRIES) throw error;
      say("The server is busy with others; asking again.");
      await pause(1000 * SECONDS * (1 + Math.random()));
      signal?.throwIfAborted();
      say("");
    }
  }
}

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
