"use strict";
/* Parts of the page. Every text is set as text: names and comments of others are never read as HTML. */
const View = (() => {
  const KINDS = { single: "single lens", compound_arc: "compound lens with an arc", double_ring: "double ring" };

  function get(id) {
    return document.getElementById(id);
  }

  /* Make an element with properties, data-attributes in `data`, and children. */
  function make(tag, { data = {}, ...properties } = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    Object.assign(element.dataset, data);
    element.append(...children);
    return element;
  }

  /* Put the keys of buttons where programs that read the page aloud, and people, find them. */
  function nameKeys() {
    for (const button of document.querySelectorAll("[data-key]")) {
      const key = Keys.shown(button.dataset.key);
      button.setAttribute("aria-keyshortcuts", button.dataset.key);
      button.title = `${button.getAttribute("aria-label") ?? button.textContent.trim()} (${key})`;
      if (button.closest(".side")) button.append(make("kbd", {}, key));
    }
  }

  /* Make the small images below the large ones. */
  function strip() {
    const names = ["VIS, residual", "Y", "J", "H"];
    get("strip").replaceChildren(...names.map((name) => make("figure", {}, make("canvas"), make("figcaption", {}, name))));
  }

  function gradeButtons(grades) {
    get("grades").replaceChildren(...Object.entries(grades).map(([grade, meaning]) => {
      const [short, long] = meaning.split(/: (.*)/s);
      const words = make("span", { className: "words" }, make("strong", {}, short), make("span", { className: "long" }, long));
      const button = make("button", { type: "button", data: { do: `grade ${grade}`, grade } }, make("b", {}, grade), words);
      button.title = meaning;
      button.setAttribute("aria-keyshortcuts", grade.toLowerCase());
      return button;
    }));
  }

  function reasonButtons(reasons) {
    get("reasons").replaceChildren(...Object.entries(reasons).map(([reason, meaning], i) => {
      const button = make("button", { type: "button", data: { do: `reason ${i}`, reason } }, make("kbd", {}, i + 1), ` ${reason}`);
      button.title = `X: ${meaning}`;
      button.setAttribute("aria-keyshortcuts", String(i + 1));
      return button;
    }));
  }

  function help(grades, reasons) {
    const meanings = [...Object.entries(grades), ...Object.entries(reasons).map(([name, text], i) => [`${i + 1} ${name}`, text])];
    get("help-grades").replaceChildren(...meanings.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
    get("help-keys").replaceChildren(...Keys.TABLE.map(([group, keys]) => {
      const rows = keys.map(([key, text]) => make("tr", {}, make("td", {}, make("kbd", {}, Keys.shown(key))), make("td", {}, text)));
      return make("section", {}, make("h3", {}, group), make("table", {}, make("tbody", {}, ...rows)));
    }));
  }

  /* Say whether the answer to a known subject was right, in words. */
  function verdict(answer, grade) {
    const what = answer.is_lens ? `a simulated ${KINDS[answer.kind] ?? "lens"}` : "taken for no lens";
    const isLens = "AB".includes(grade);
    if (grade === "C") return { isRight: null, words: `Undecided: this is ${what}.` };
    return isLens === answer.is_lens
      ? { isRight: true, words: `Right: this is ${what}.` }
      : { isRight: false, words: `${answer.is_lens ? "Missed" : "Not so"}: this is ${what}.` };
  }

  /* Fill the evidence of a subject: answer, maps, facts, grades of others. */
  function evidence(facts, grade) {
    const parts = [];
    if (facts.answer) {
      const { isRight, words } = verdict(facts.answer, grade ?? "");
      const text = grade ? words : `This is ${facts.answer.is_lens ? "a simulated lens" : "taken for no lens"}.`;
      parts.push(make("p", { className: "verdict", data: { right: String(isRight) } }, text));
      if (facts.answer.arcs) parts.push(make("p", { className: "small" }, "The line in the images encloses the arcs that were painted in."));
    }
    if (facts.maps) parts.push(...maps(facts.maps));
    const lines = facts.lines.flatMap(([label, text]) => [make("dt", {}, label), make("dd", {}, text)]);
    if (lines.length) parts.push(make("dl", {}, ...lines));
    if (facts.link) parts.push(make("p", {}, make("a", { href: facts.link, target: "_blank", rel: "noreferrer noopener" }, "Show the place in Aladin Lite")));
    if (facts.others.length) parts.push(others(facts.others));
    get("evidence").replaceChildren(...parts);
  }

  function others(grades) {
    const lines = grades.map(({ grader, grade, words, comment }) => {
      const text = [`${grader}: ${grade}`, ...words].join(", ");
      return make("li", {}, comment ? `${text}, “${comment}”` : text);
    });
    return make("div", {}, make("h3", {}, "Other graders"), make("ul", {}, ...lines));
  }

  function maps({ guided, occlusion, occlusion_scale: scale }) {
    const [first, second] = [make("canvas"), make("canvas")];
    Picture.paintMap(first, Source.bytesOf(guided), 40, heat, 132, true);
    Picture.paintMap(second, new Int8Array(Source.bytesOf(occlusion).buffer), 8, diverging, 132, false);
    first.setAttribute("role", "img");
    second.setAttribute("role", "img");
    first.setAttribute("aria-label", "Guided Grad-CAM: bright pixels raise the score");
    second.setAttribute("aria-label", "Occlusion map: blue squares support a lens, red ones count against it");
    const named = [[first, "Guided Grad-CAM: bright raises the score"], [second, `Occlusion, ±${scale.toPrecision(2)}: blue supports a lens`]];
    return [make("div", { className: "maps" }, ...named.map(([canvas, text]) => make("figure", {}, canvas, make("figcaption", {}, text))))];
  }

  function heat(value) {
    return [Math.min(255, value * 1.6), Math.max(0, Math.min(255, value * 1.5 - 80)), Math.max(0, value * 2 - 330)];
  }

  function diverging(value) {
    const fade = 255 * (1 - Math.abs(value) / 127);
    return value < 0 ? [fade, fade, 255] : [255, fade, fade];
  }

  let fading;
  function toast(text) {
    const box = get("toast");
    box.textContent = text;
    box.classList.add("on");
    clearTimeout(fading);
    fading = setTimeout(() => box.classList.remove("on"), 2600);
  }

  /* Show text in place of the images; nothing hides it. */
  function notice(text) {
    get("notice").textContent = text;
    get("notice").hidden = !text;
  }

  return { get, make, nameKeys, strip, gradeButtons, reasonButtons, help, verdict, evidence, toast, notice };
})();
