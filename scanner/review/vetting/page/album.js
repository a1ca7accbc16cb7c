"use strict";
/* The images that the page has, and those that are on their way. */
class Album {
  static AT_ONCE = 25;
  static MOST = 400;

  constructor(source) {
    this.source = source;
    this.images = new Map();
    this.asked = new Map();
    this.seenAt = new Map();
  }

  /* Return an image; undefined if it is not there yet, null if the catalogue has none. */
  get(key) {
    return this.images.get(key);
  }

  has(key) {
    return this.images.has(key);
  }

  /* Ask for images that are not there yet; return when those of `keys` have come. */
  async load(keys) {
    const missing = keys.filter((key) => !this.images.has(key) && !this.asked.has(key));
    for (let i = 0; i < missing.length; i += Album.AT_ONCE) this.ask(missing.slice(i, i + Album.AT_ONCE));
    await Promise.all(keys.map((key) => this.asked.get(key)));
  }

  ask(keys) {
    const answer = this.source.images(keys).then((found) => keys.forEach((key, i) => this.images.set(key, found[i])));
    const settled = answer.finally(() => keys.forEach((key) => this.asked.delete(key)));
    /* The caller of `load` hears of the error. */
    settled.catch(() => {});
    keys.forEach((key) => this.asked.set(key, settled));
  }

  /* Drop the oldest images, except those of some keys, until few are left. */
  forget(wanted) {
    for (const key of this.images.keys()) {
      if (this.images.size <= Album.MOST) return;
      if (!wanted.has(key)) this.images.delete(key);
    }
  }

  /* Note that the grader sees an image now. */
  see(key) {
    if (this.images.has(key) && !this.seenAt.has(key)) this.seenAt.set(key, performance.now());
  }

  secondsSince(key) {
    return this.seenAt.has(key) ? Math.round(performance.now() - this.seenAt.get(key)) / 1000 : 0;
  }
}
