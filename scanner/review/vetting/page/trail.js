"use strict";
/* The views that the networks see most like one, nearest first. A blind grader sees those alone that are graded. */
class Trail {
  constructor(state, work, source, queue) {
    Object.assign(this, { state, work, source, queue, name: "", list: [], i: 0 });
  }

  /* Go to the view most like the present one, or on to the next; return whether there is one, and words about it. */
  async step() {
    const { work } = this;
    if (this.list[this.i] === work.at && this.i + 1 < this.list.length) this.i += 1;
    else {
      const why = await this.begin();
      if (why) return { isThere: false, text: why };
    }
    work.at = this.list[this.i];
    return { isThere: true, text: `${this.i + 1} of ${this.list.length} like ${this.name}` };
  }

  /* Find what is like the present view; return why there is nothing, or an empty text. */
  async begin() {
    const { work, state: { is_blind } } = this;
    const { key } = work.item;
    const act = work.grade(work.at);
    if (is_blind && !act) return "Grade first: what is alike is hidden until then.";
    let facts;
    try {
      if (act) await this.queue.stored(act.act_id);
      facts = await this.source.facts(key);
    } catch (error) {
      return error.message;
    }
    const places = facts.alike.map((other) => work.items.findIndex((item) => item.key === other));
    const list = places.filter((i) => i >= 0 && (!is_blind || work.grade(i)));
    if (!facts.n_alike) return "Nothing is known to be like it.";
    if (work.item.key !== key || !list.length) return `None of the ${facts.n_alike} most like it is graded yet.`;
    Object.assign(this, { name: work.name(work.at), list, i: 0 });
    return "";
  }
}
