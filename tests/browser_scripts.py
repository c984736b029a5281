"""What tests ask of a page, in its own language."""

PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, ...data];
}"""
"""Height and width of a canvas, then what is painted: red, green, blue, opacity."""
SMALL = """board => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 28, height: 28 });
  canvas.getContext("2d").drawImage(board, 0, 0, 28, 28);
  return canvas;
}"""
"""The large picture as a canvas of 28x28, without its cursor's finer lines."""
RECORD = """place => {
  window.rows = [];
  const see = () => {
    const canvas = place.querySelector(".tiles canvas");
    if (!canvas) return;
    const { data } = canvas.getContext("2d").getImageData(0, 0, 1, canvas.height);
    const blue = row => data[4 * row] === 74 && data[4 * row + 2] === 178;
    const rows = Array.from({ length: canvas.height }, (_, row) => row);
    const drawn = rows.filter(row => !blue(row)).length;
    if (rows.every(row => blue(row) === row >= drawn)) window.rows.push(drawn);
  };
  const options = { subtree: true, childList: true, attributes: true };
  new MutationObserver(see).observe(place, options);
}"""
"""Watch the first canvas of a place: whenever it changes, note in window.rows how many rows of it
are drawn, if those below are all blue."""
SPREAD = "() => [document.documentElement.scrollWidth, window.innerWidth]"
"""Width of the page, and of the screen."""
CONTRAST = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const background = node => {
    for (let at = node; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const words = [...document.querySelectorAll("body *")].filter(node =>
    node.checkVisibility() && !node.disabled && !node.closest("noscript, option")
    && [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim()));
  return words.map(node => {
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(background(node))];
    const text = node.textContent.trim().slice(0, 30);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text];
  });
}"""
"""Contrast of all words on the page with their background, by WCAG's formula: [ratio, words]."""
CROWD = """body => {
  const headers = { "Content-Type": "application/json" };
  const ask = () => fetch("api/sample", { method: "POST", headers, body: JSON.stringify(body) });
  for (const _ of [1, 2, 3]) ask();
}"""
"""Ask for three jobs, and wait for none of them."""
