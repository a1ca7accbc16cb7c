"use strict";
/* The source of subjects and the sink of acts: a server, or the file that the page itself is. */
const Source = (() => {
  const TIME_LIMIT_MS = 20000;
  const TOKEN = "lensscan:token";

  class Refused extends Error {}

  /* The server of `lensscan vet`. */
  class Server {
    isFile = false;

    constructor() {
      this.token = new URLSearchParams(location.search).get("token");
      /* A page that was opened before the server was started again finds the new token here. */
      Look.keep(TOKEN, this.token);
      /* What a server of another catalogue must refuse, once it has this page's port. */
      this.origin = null;
    }

    async state() {
      const state = await (await this.answer("api/state")).json();
      this.origin = state.origin;
      return state;
    }

    async images(keys) {
      const answer = await this.answer(`api/images?keys=${keys.join(",")}`);
      return Picture.decoded(await answer.arrayBuffer());
    }

    async facts(key) {
      return (await this.answer(`api/facts?key=${key}`)).json();
    }

    queue(session, changed) {
      return new Acts.Queue(session, (acts) => this.sent(acts), changed);
    }

    async sent(acts) {
      const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ acts }) };
      return (await this.answer("api/acts", options)).json();
    }

    async answer(path, options = {}) {
      const headers = { ...options.headers, "X-Lensscan-Token": Look.kept(TOKEN, this.token) };
      if (this.origin) headers["X-Lensscan-Session"] = this.origin;
      let answer;
      try {
        answer = await fetch(path, { ...options, headers, signal: AbortSignal.timeout(TIME_LIMIT_MS) });
      } catch {
        throw new Error("the server does not answer; is `lensscan vet` running?");
      }
      if (answer.ok) return answer;
      const text = await answer.text();
      let why = text.trim();
      try {
        why = JSON.parse(text).error;
      } catch {
        /* A plain text. */
      }
      /* Another try may help where the server has failed. */
      throw answer.status < 500 ? new Refused(why) : new Error(why);
    }
  }

  /* A file with everything in it. What must not be seen early is hidden in it, not encrypted. */
  class SingleFile {
    isFile = true;

    constructor(data) {
      this.data = data;
      this.items = new Map(data.state.items.map(([key], i) => [key, { ...data.items[i], key }]));
    }

    async state() {
      return this.data.state;
    }

    async images(keys) {
      return Promise.all(keys.map((key) => this.image(this.data.images[this.items.get(key).image])));
    }

    async image(text) {
      const packed = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
      return Picture.decoded(together(await new Response(packed).arrayBuffer()))[0];
    }

    async facts(key) {
      return this.hidden(key).facts;
    }

    hidden(key) {
      const mask = [...key].map((letter) => letter.charCodeAt(0));
      const bytes = bytesOf(this.items.get(key).hidden).map((byte, i) => byte ^ mask[i % mask.length] ^ (i & 255));
      return JSON.parse(new TextDecoder().decode(bytes));
    }

    queue(session, changed) {
      return new Notebook(session, changed);
    }

    /* Return the votes of acts, as a table has them. */
    votes(acts) {
      return acts.map(({ item, ...act }) => ({ ...act, grader: this.data.state.grader, ...this.hidden(item).subject }));
    }

    /* Return the acts of votes; those of other graders and of subjects that the file lacks are counted. */
    acts(votes) {
      const views = new Map([...this.items.keys()].map((key) => {
        const { subject, repeat } = this.hidden(key).subject;
        return [`${subject} ${repeat}`, key];
      }));
      const known = votes.filter((vote) => vote.grader === this.data.state.grader && views.has(`${vote.subject} ${vote.repeat}`));
      const acts = known.map(({ grader, subject, object_id: object, role, repeat, ...act }) => {
        return { ...act, item: views.get(`${subject} ${repeat}`) };
      });
      return { acts, nUnknown: votes.length - acts.length };
    }
  }

  /* Keeps all acts in the storage of the browser, for the table that the grader downloads. */
  class Notebook {
    constructor(session, changed) {
      this.kept = new Acts.Kept(session);
      this.changed = changed;
      this.waiting = new Map();
      this.refused = new Map();
      this.trouble = "";
    }

    all() {
      return this.kept.all();
    }

    add(act) {
      this.kept.put(act);
      this.changed();
    }

    async stored() {}

    flush() {
      this.changed();
    }
  }

  function bytesOf(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  /* Return a record whose low bytes and high bytes lie apart in `data`, where they take less space. */
  function together(data) {
    const apart = new Uint8Array(data);
    const head = apart.slice(0, 8);
    if (head[0] !== 1) return data;
    const half = (apart.length - 8) / 2;
    const record = new Uint8Array(apart.length);
    record.set(head);
    for (let i = 0; i < half; i++) {
      record[8 + 2 * i] = apart[8 + i];
      record[9 + 2 * i] = apart[8 + half + i];
    }
    return record.buffer;
  }

  function found() {
    const data = document.getElementById("data");
    return data ? new SingleFile(JSON.parse(data.textContent)) : new Server();
  }

  return { found, Refused, bytesOf };
})();
