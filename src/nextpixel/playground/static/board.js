/** A large picture whose cells can be pointed at, by pointer or by keyboard. */

import { el } from "./dom.js";
import { paintCells } from "./paint.js";

const SIDE = 448; // canvas pixels, about; the page scales it

export class Board {
  /**
   * @param {string} label what it shows
   * @param {string} helpId the element that says how to use it
   * @param {Object} listeners
   * @param {function(number, number)} listeners.onmove the row and column now pointed at
   * @param {function(number, number, {key: boolean})} listeners.onact a cell is pressed or stroked
   * @param {function()} listeners.onend the stroke has ended
   */
  constructor(label, helpId, listeners) {
    this.listeners = listeners;
    this.brush = 1;
    this.small = document.createElement("canvas");
    this.node = el("canvas", {
      class: "board",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "pixel picture",
      "aria-label": label,
      "aria-describedby": helpId,
      keydown: (event) => this.key(event),
      pointerdown: (event) => this.begin(event),
      pointermove: (event) => this.stroke(event),
      pointerup: (event) => this.end(event),
      pointercancel: () => this.end(),
      lostpointercapture: () => this.end(),
    });
  }

  /** Show cells; the cursor keeps its place where it can. */
  show(height, width, colorAt) {
    Object.assign(this, { height, width, colorAt });
    this.row = Math.min(this.row ?? Math.floor(height / 2), height - 1);
    this.column = Math.min(this.column ?? Math.floor(width / 2), width - 1);
    paintCells(this.small, height, width, colorAt);
    this.draw();
  }

  /** Paint the cells enlarged, and the cursor over them. */
  draw() {
    const scale = Math.max(1, Math.floor(SIDE / Math.max(this.height, this.width)));
    Object.assign(this.node, { width: this.width * scale, height: this.height * scale });
    const context = this.node.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.small, 0, 0, this.node.width, this.node.height);
    this.decorate?.(context, scale);
    const before = Math.floor((this.brush - 1) / 2);
    const corner = [(this.column - before) * scale, (this.row - before) * scale];
    outline(context, corner, this.brush * scale);
  }

  move(row, column) {
    this.row = Math.max(0, Math.min(this.height - 1, row));
    this.column = Math.max(0, Math.min(this.width - 1, column));
    this.draw();
    this.listeners.onmove(this.row, this.column);
  }

  key(event) {
    const step = event.shiftKey ? 5 : 1;
    const moves = {
      ArrowUp: [this.row - step, this.column],
      ArrowDown: [this.row + step, this.column],
      ArrowLeft: [this.row, this.column - step],
      ArrowRight: [this.row, this.column + step],
      Home: [this.row, 0],
      End: [this.row, this.width - 1],
    };
    if (event.key in moves) this.move(...moves[event.key]);
    else if (event.key === " ") this.tap();
    else return;
    event.preventDefault();
  }

  tap() {
    this.listeners.onact(this.row, this.column, { key: true });
    this.listeners.onend();
  }

  /** A finger that begins a swipe is to scroll: it acts once it moves aside, or is lifted. */
  begin(event) {
    this.move(...this.cell(event));
    this.waiting = event.pointerType === "touch" ? event : null;
    if (!this.waiting) this.press(event);
  }

  press(event) {
    this.node.setPointerCapture(event.pointerId);
    Object.assign(this, { stroking: true, waiting: null });
    this.listeners.onact(this.row, this.column, { key: false });
  }

  stroke(event) {
    const [row, column] = this.cell(event);
    if (row === this.row && column === this.column) return;
    if (this.waiting && !isAside(this.waiting, event)) return;
    if (this.waiting) this.press(event);
    const from = [this.row, this.column];
    if (this.stroking) {
      for (const [r, c] of line(from, [row, column])) this.listeners.onact(r, c, { key: false });
    }
    this.move(row, column);
  }

  /** Leave off; `event` where a finger was lifted from where it was put down. */
  end(event) {
    if (event && this.waiting) this.press(event);
    this.waiting = null;
    if (!this.stroking) return;
    this.stroking = false;
    this.listeners.onend();
  }

  cell(event) {
    const box = this.node.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.height);
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.width);
    const within = (value, size) => Math.max(0, Math.min(size - 1, value));
    return [within(row, this.height), within(column, this.width)];
  }
}

/** Whether a finger has gone aside, more than up or down: else it may be about to scroll. */
function isAside(from, to) {
  const [across, along] = [to.clientX - from.clientX, to.clientY - from.clientY].map(Math.abs);
  return across > 8 && across > along;
}

/** The cells between two, the first left out: a quick pointer skips none. */
function line([row, column], [lastRow, lastColumn]) {
  const steps = Math.max(Math.abs(lastRow - row), Math.abs(lastColumn - column));
  const between = (from, to, step) => Math.round(from + ((to - from) * step) / steps);
  return Array.from({ length: steps }, (_, i) => [
    between(row, lastRow, i + 1),
    between(column, lastColumn, i + 1),
  ]);
}

/** A square seen on any color: light within dark. */
export function outline(context, [x, y], side) {
  context.lineWidth = 6;
  context.strokeStyle = "#101418";
  context.strokeRect(x, y, side, side);
  context.lineWidth = 2;
  context.strokeStyle = "#ffffff";
  context.strokeRect(x, y, side, side);
}
