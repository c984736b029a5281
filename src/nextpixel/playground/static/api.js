/** Requests to the server of this page. It knows the form of answers, not what they mean. */

const BUSY = 503;
const TRIES = 12; // of a request that finds the server busy
const SECONDS = 1; // to wait where it does not say how long

/** What the server would not do, in its own plain words. */
export class Refusal extends Error {
  /**
   * @param {string} message a sentence for the reader
   * @param {string|null} field the name of the input it is about
   * @param {number} status of the answer; 0: there was none
   * @param {number} wait seconds until to ask again; 0: the server does not say
   */
  constructor(message, field = null, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { field, status, wait });
  }
}

/** The words of a refusal; any other error is a fault of this page, and goes on its way. */
export function wordsOf(error) {
  if (error instanceof Refusal) return error.message;
  throw error;
}

/** GET an address -> its JSON. */
export async function get(path, signal) {
  return (await ask(path, { signal })).json().catch(explain);
}

/** POST JSON -> JSON. */
export async function post(path, body, signal) {
  return (await ask(path, { ...json(body), signal })).json().catch(explain);
}

/** POST JSON -> a file, as a blob. */
export async function fetchFile(path, body) {
  return (await ask(path, json(body))).blob().catch(explain);
}

/**
 * POST a form with files -> JSON.
 * @param {Array<[string, (string|File)]>} parts names and values, in order
 */
export async function send(path, parts, signal) {
  return (await ask(path, { ...json(formOf(parts)), signal })).json().catch(explain);
}

/** A form of pairs of name and value. */
export function formOf(parts) {
  const form = new FormData();
  for (const [name, value] of parts) form.append(name, value);
  return form;
}

/** POST JSON, or a form -> the events of a stream, a line each; aborting it cancels the job. */
export async function* events(path, body, signal, tries = TRIES) {
  const response = await ask(path, { ...json(body), signal }, tries);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(explain);
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      signal?.throwIfAborted(); // lines already here are of no use then
      if (line) yield JSON.parse(line);
    }
  }
}

function json(body) {
  if (body instanceof FormData) return { method: "POST", body };
  const headers = { "Content-Type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

async function ask(path, options, most = TRIES) {
  for (let tried = 1; ; tried += 1) {
    const response = await fetch(path, options).catch(explain);
    if (response.ok) return response;
    if (response.status !== BUSY || tried === most) throw await refusal(response);
    const seconds = Number(response.headers.get("Retry-After")) || SECONDS;
    await pause(seconds * (1 + Math.random()), options.signal); // not all at the same moment
  }
}

let waiting = 0;

/** Wait before asking again; the window's event `busy` says how many requests wait so. */
async function pause(seconds, signal) {
  const tell = (change) => {
    waiting += change;
    window.dispatchEvent(new CustomEvent("busy", { detail: waiting, cancelable: true }));
  };
  tell(1);
  try {
    await new Promise((resolve, reject) => {
      setTimeout(resolve, 1000 * seconds);
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    signal?.throwIfAborted();
  } finally {
    tell(-1);
  }
}

function explain(error) {
  if (error.name === "AbortError") throw error;
  throw new Refusal("The server does not answer. Is `nextpixel serve` still running?");
}

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const known = typeof body.detail === "string";
  const words = known ? body.detail : `The server answered ${response.status}.`;
  const wait = Number(response.headers.get("Retry-After"));
  return new Refusal(words, body.field, response.status, wait);
}
