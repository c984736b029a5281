/** Elements of the page, built in one expression. It knows nothing of models. */

/**
 * Make an HTML element.
 * @param {string} name its tag
 * @param {Object} attributes functions become listeners; true, false and null do as in HTML
 * @param {...(Node|string|null)} children null is left out
 */
export function el(name, attributes = {}, ...children) {
  return finish(document.createElement(name), attributes, children);
}

/** Make an SVG element; as `el`. */
export function svg(name, attributes = {}, ...children) {
  return finish(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** A button that submits nothing; it shows words or a node. */
export function button(face, onclick, attributes = {}) {
  return el("button", { type: "button", click: onclick, ...attributes }, face);
}

/** Put these children in place of the old ones. */
export function refill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null));
}

let made = 0;

/** An id that no other element has. */
export function freshId(stem) {
  made += 1;
  return `${stem}-${made}`;
}

function finish(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) assign(node, key, value);
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

function assign(node, key, value) {
  if (typeof value === "function") node.addEventListener(key, value);
  else if (value === true) node.setAttribute(key, "");
  else if (value !== false && value !== null) node.setAttribute(key, value);
}
