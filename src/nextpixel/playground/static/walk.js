/** A pointer that moves by itself on arrival, until the reader touches something. */

const PAUSE = 1100; // milliseconds at a pixel
const TOUCHES = ["pointerdown", "pointermove", "keydown", "focusin", "change", "wheel"];

/**
 * Move through some steps, the last at once where motion is not wanted.
 * @param {HTMLElement} root where a touch ends it
 * @param {Array} steps
 * @param {function(*)} move
 * @returns {function()} ends it
 */
export function walk(root, steps, move) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const left = calm ? steps.slice(-1) : [...steps];
  const next = () => {
    move(left.shift());
    if (!left.length) end();
  };
  const end = () => {
    clearInterval(timer);
    for (const touch of TOUCHES) root.removeEventListener(touch, end);
  };
  const timer = setInterval(next, PAUSE);
  for (const touch of TOUCHES) root.addEventListener(touch, end, { passive: true });
  next();
  return end;
}
