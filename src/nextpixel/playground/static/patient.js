/** Words in a view while its question waits for a server that is busy. */

/**
 * Ask, and say while that waits: requests ask again by themselves, see `api.js`.
 * @param {function(): Promise} ask
 * @param {function(string)} say called with words while it waits, and with "" once it asks again
 */
export async function patiently(ask, say) {
  const listen = (event) => {
    event.preventDefault(); // said here, it need not be said at the foot of the page
    say(event.detail ? "The server is busy with others; asking again." : "");
  };
  window.addEventListener("busy", listen);
  try {
    return await ask();
  } finally {
    window.removeEventListener("busy", listen);
  }
}
