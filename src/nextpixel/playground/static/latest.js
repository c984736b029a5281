/** The newest question only: while one is under way, all but the last that come are dropped. */

export class Latest {
  /** @param {function(...*): Promise} answer must not throw */
  constructor(answer) {
    this.answer = answer;
    this.busy = false;
    this.waiting = null;
  }

  /** Ask now, or as soon as the question under way is answered. */
  async ask(...question) {
    this.waiting = question;
    if (this.busy) return;
    this.busy = true;
    while (this.waiting) {
      const next = this.waiting;
      this.waiting = null;
      await this.answer(...next);
    }
    this.busy = false;
  }
}
