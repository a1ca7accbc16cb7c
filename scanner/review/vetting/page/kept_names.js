"use strict";
/* Names that the browser keeps for all pages of a session; each page knows what another has added by now. */
class KeptNames {
  constructor(name) {
    this.name = name;
    this.own = new Set();
  }

  all() {
    return new Set([...this.own, ...Look.kept(this.name, [])]);
  }

  add(names) {
    for (const name of names) this.own.add(name);
    Look.keep(this.name, [...this.all()]);
  }
}
