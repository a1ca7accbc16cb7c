"use strict";
/* The acts of the grader: which count, and how each reaches the log, whatever happens to the server or the page. */
const Acts = (() => {
  /* A slow store takes a second for each, and the page waits for an answer for a limited time. */
  const MOST_AT_ONCE = 10;
  const LONGEST_WAIT_MS = 15000;

  /* Return 32 hexadecimal digits that no other act has. */
  function newId() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /* Return the grade that counts of each view, by its key: of those not taken back the last blind one, else the last. */
  function effective(acts) {
    const undone = new Set(acts.filter((act) => act.act === "undo").map((act) => act.undoes));
    const grades = acts.filter((act) => act.act === "grade" && !undone.has(act.act_id));
    const isBlind = (act) => Number(act.is_blind ?? true);
    grades.sort((a, b) => isBlind(a) - isBlind(b) || Date.parse(a.graded_at) - Date.parse(b.graded_at) || (a.act_id < b.act_id ? -1 : 1));
    return new Map(grades.map((act) => [act.item, act]));
  }

  /* Acts in the storage of the browser, each under a name of its own, so that several pages do not overwrite each other's. */
  class Kept {
    constructor(session) {
      this.prefix = `lensscan:${session}:act:`;
      this.lacks = new Map();
    }

    all() {
      const found = new Map(this.lacks);
      try {
        for (let i = 0; i < localStorage.length; i++) {
          const name = localStorage.key(i);
          if (!name.startsWith(this.prefix)) continue;
          const act = JSON.parse(localStorage.getItem(name));
          found.set(act.act_id, act);
        }
      } catch {
        /* A browser may forbid storage: then acts are in memory. */
      }
      return [...found.values()];
    }

    put(act) {
      try {
        localStorage.setItem(this.prefix + act.act_id, JSON.stringify(act));
      } catch {
        this.lacks.set(act.act_id, act);
      }
    }

    remove(id) {
      this.lacks.delete(id);
      try {
        localStorage.removeItem(this.prefix + id);
      } catch {
        /* It was in memory alone. */
      }
    }
  }

  /* Sends acts until the server has acknowledged each; sending one twice does no harm. */
  class Queue {
    constructor(session, send, changed) {
      this.kept = new Kept(session);
      this.send = send;
      this.changed = changed;
      this.refused = new Map();
      this.trouble = "";
      this.waitMs = 500;
      this.isSending = false;
      this.waiting = new Map(this.kept.all().map((act) => [act.act_id, act]));
      this.answered = new Map();
    }

    add(act) {
      this.kept.put(act);
      this.waiting.set(act.act_id, act);
      this.flush();
    }

    /* Return a promise of the moment when an act is stored. */
    stored(id) {
      if (!this.waiting.has(id)) return Promise.resolve();
      return new Promise((resolve) => this.answered.set(id, resolve));
    }

    async flush() {
      if (this.isSending || !this.waiting.size) return this.changed();
      this.isSending = true;
      this.changed();
      const some = [...this.waiting.values()].slice(0, MOST_AT_ONCE);
      try {
        this.settle(await this.send(some));
        this.trouble = "";
        this.waitMs = 500;
      } catch (error) {
        this.trouble = error.message;
        this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
      }
      this.isSending = false;
      this.changed();
      if (this.waiting.size) setTimeout(() => this.flush(), this.trouble ? this.waitMs : 0);
    }

    settle({ stored, refused }) {
      for (const id of stored) {
        this.kept.remove(id);
        this.done(id);
      }
      for (const { act_id: id, error } of refused) {
        /* It stays in the storage of the browser, for a session that knows it. */
        this.refused.set(id, error);
        this.done(id);
      }
    }

    done(id) {
      this.waiting.delete(id);
      this.answered.get(id)?.();
      this.answered.delete(id);
    }
  }

  return { newId, effective, Kept, Queue };
})();
