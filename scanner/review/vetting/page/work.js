"use strict";
/* The views to grade, the grades that were given, and the place of the grader. */
class Work {
  constructor(state, queue) {
    this.state = state;
    this.queue = queue;
    this.items = state.items.map(([key, isTraining]) => ({ key, isTraining: Boolean(isTraining) }));
    this.places = new Map(this.items.map((item, i) => [item.key, i]));
    /* Places of the views that count. */
    this.real = this.items.flatMap((item, i) => (item.isTraining ? [] : [i]));
    this.reasons = Object.keys(state.reasons);
    this.acts = new Map([...state.acts, ...queue.kept.all()].map((act) => [act.act_id, act]));
    /* Views whose evidence was shown in this browser. */
    this.revealed = new KeptNames(`lensscan:${state.session}:revealed`);
    /* Acts that were made in this browser. */
    this.here = new KeptNames(`lensscan:${state.session}:here`);
    /* Grades that were given with one key, for undo. */
    this.batches = [];
    this.recount();
    this.at = Math.max(0, this.nextOpen(-1));
  }

  recount() {
    this.current = Acts.effective([...this.acts.values()]);
  }

  get item() {
    return this.items[this.at];
  }

  get nTraining() {
    return this.items.length - this.real.length;
  }

  get nDone() {
    return this.real.filter((i) => this.grade(i)).length;
  }

  /* Return the grade that counts of the view at a place. */
  grade(i) {
    return this.current.get(this.items[i]?.key);
  }

  /* Whether the present grade stays: it was blind, and the grader may have seen the evidence since. */
  get isSettled() {
    return Boolean(this.grade(this.at)?.is_blind && this.informed.has(this.item.key));
  }

  get whySettled() {
    return this.isFromHere(this.grade(this.at)) ? "You have seen the evidence" : "This has a grade from before, or from another browser or port";
  }

  /* Return where a grade that stays comes from, in words. */
  origin(act) {
    return this.isFromHere(act) ? "before you saw the evidence" : "before, or from another browser or port";
  }

  /* Whether an act was made in this browser, which then knows whether the evidence was shown since. */
  isFromHere(act) {
    return this.here.all().has(act.act_id);
  }

  /* Return the keys of the views whose evidence the grader may know: it was shown here, or could be where the grade was given. */
  get informed() {
    const here = this.here.all();
    const elsewhere = [...this.acts.values()].filter((act) => act.act === "grade" && !here.has(act.act_id));
    return new Set([...this.revealed.all(), ...elsewhere.map((act) => act.item)]);
  }

  /* Name a view for the grader. */
  name(i) {
    return this.items[i].isTraining ? `Training subject ${i + 1}` : `Subject ${i + 1 - this.nTraining}`;
  }

  /* Return the place of the next view after `from` that has no grade, also from the beginning; -1 if all have one. */
  nextOpen(from) {
    for (let step = 1; step <= this.items.length; step++) {
      const i = (from + step + this.items.length) % this.items.length;
      if (!this.grade(i)) return i;
    }
    return -1;
  }

  /* Return the keys of the next `n` views after `from` without a grade, and of the one before the present. */
  upcoming(from, n) {
    const next = this.items.slice(from + 1).filter((item) => !this.current.has(item.key)).slice(0, n);
    return [...next, ...this.items.slice(Math.max(0, this.at - 1), this.at)].map((item) => item.key);
  }

  /* Give grades with one key; each of `fields` is the beginning of an act. */
  give(fields) {
    const given = this.add(fields.map((one) => ({ act: "grade", ...one })));
    /* The answer to a training subject is told: its grade stays. */
    if (!this.item.isTraining) this.batches.push(given.map((act) => act.act_id));
    this.recount();
    return given;
  }

  /* Take back what the last key gave; without one, the last grade. Return the acts that are taken back. */
  undo() {
    const undone = (this.batches.pop() ?? this.last()).map((id) => this.acts.get(id));
    this.add(undone.map(({ act_id: undoes, item }) => ({ act: "undo", item, undoes })));
    this.recount();
    if (undone.length) this.at = this.places.get(undone[0].item);
    return undone;
  }

  last() {
    const counted = [...this.current.values()].filter((act) => this.items[this.places.get(act.item)]?.isTraining === false);
    counted.sort((a, b) => Date.parse(a.graded_at) - Date.parse(b.graded_at));
    return counted.slice(-1).map((act) => act.act_id);
  }

  add(beginnings) {
    const { informed } = this;
    const acts = beginnings.map((fields) => ({
      act_id: Acts.newId(), undoes: null, grade: null, reason: null, is_compound: false, is_interesting: false, comment: "",
      is_blind: this.state.is_blind && !informed.has(fields.item), decision_s: 0, page_version: this.state.page_version,
      graded_at: new Date().toISOString(), ...fields,
    }));
    this.here.add(acts.map((act) => act.act_id));
    acts.forEach((act) => this.put(act));
    return acts;
  }

  put(act) {
    this.acts.set(act.act_id, act);
    this.queue.add(act);
  }

  /* Add acts of a file; return how many were new. */
  take(acts) {
    const missing = acts.filter((act) => !this.acts.has(act.act_id));
    missing.forEach((act) => this.put(act));
    this.recount();
    return missing.length;
  }

  /* Note that the grader knows the evidence of views: later grades of these are not blind. */
  know(keys) {
    this.revealed.add(keys);
  }
}
