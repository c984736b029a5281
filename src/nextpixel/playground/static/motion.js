/** Time for what moves by itself: while it is in view, on a page that is seen, and wanted. */

const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const LONGEST = 0.1; // seconds of a frame: after a pause things go on, and do not jump

export class Motion {
  /**
   * @param {HTMLElement} node what must be in view; its data-moving says whether it moves
   * @param {{onframe: function(number), onwant: function(boolean)}} listeners the seconds since the
   *   last frame; whether it is wanted to move, whenever that changes
   */
  constructor(node, { onframe, onwant }) {
    Object.assign(this, { node, onframe, onwant, inView: false, request: 0 });
    const seen = new IntersectionObserver((entries) => this.see(entries.at(-1).isIntersecting));
    seen.observe(node);
    document.addEventListener("visibilitychange", () => this.update());
    CALM.addEventListener("change", () => this.want(!CALM.matches));
    this.want(!CALM.matches);
  }

  /** Move, or stand still. */
  want(wanted) {
    this.wanted = wanted;
    this.onwant(wanted);
    this.update();
  }

  see(inView) {
    this.inView = inView;
    this.update();
  }

  update() {
    const moving = this.wanted && this.inView && !document.hidden;
    this.node.dataset.moving = moving;
    cancelAnimationFrame(this.request);
    if (moving) this.request = requestAnimationFrame((now) => this.frame(now, now));
  }

  frame(now, before) {
    this.request = requestAnimationFrame((next) => this.frame(next, now));
    this.onframe(Math.min(LONGEST, (now - before) / 1000));
  }
}
