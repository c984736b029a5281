/** What the page shows, kept in its address, to be linked: `#view?model=name&seed=3`. */

/** The view that the address names; "" where it names none. */
export function viewOf() {
  return location.hash.slice(1).split("?")[0];
}

/**
 * What the address says of a view.
 * @param {string} view
 * @returns {URLSearchParams} empty where the address names another view
 */
export function read(view) {
  return new URLSearchParams(viewOf() === view ? location.hash.split("?")[1] : "");
}

/**
 * Keep what a view shows, where that view is shown; what is null or undefined is left out.
 * @param {string} view
 * @param {Object} values by name
 */
export function write(view, values) {
  if (viewOf() !== view) return;
  const known = Object.entries(values).filter(([, value]) => (value ?? null) !== null);
  const query = new URLSearchParams(known).toString();
  history.replaceState(null, "", `#${view}${query && "?"}${query}`);
}
