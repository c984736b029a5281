/** A place to drop files or a folder, or to choose them. */

import { button, el } from "./dom.js";
import { Field } from "./fields.js";

export class DropField extends Field {
  /**
   * @param {string} name as the server calls it
   * @param {string} label
   * @param {{accept: string, several?: boolean, hint: string, onfiles: function(File[])}} more
   */
  constructor(name, label, { accept, several = false, hint, onfiles }) {
    const input = el("input", { type: "file", accept, multiple: several });
    super(name, label, input, { hint });
    this.onfiles = onfiles;
    input.addEventListener("change", () => onfiles([...input.files]));
    if (several) this.hint.before(this.folderButton());
    this.node.classList.add("drop");
    this.node.addEventListener("dragover", (event) => this.over(event, true));
    this.node.addEventListener("dragleave", (event) => this.over(event, false));
    this.node.addEventListener("drop", (event) => this.drop(event));
  }

  /** Browsers choose folders by an input of their own. */
  folderButton() {
    const take = () => this.onfiles([...folder.files]);
    const folder = el("input", { type: "file", webkitdirectory: true, hidden: true, change: take });
    return el("div", {}, button("Choose a folder", () => folder.click()), folder);
  }

  over(event, inside) {
    event.preventDefault();
    this.node.classList.toggle("over", inside);
  }

  async drop(event) {
    this.over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
    const files = await Promise.all(entries.filter(Boolean).map(filesOf));
    this.onfiles(files.flat());
  }
}

/** All files of what was dropped, those of folders within too, by name. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) break;
    inside.push(...some);
  }
  inside.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return (await Promise.all(inside.map(filesOf))).flat();
}
