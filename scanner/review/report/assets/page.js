"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("script");

  // Colours: as the system says, light, or dark. A browser may refuse to store the choice.
  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const stored = () => { try { return localStorage.getItem("lensscan-theme"); } catch { return null; } };
  const paint = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.querySelector("span").textContent = theme;
    button.setAttribute("aria-label", "Colours: " + (theme === "auto" ? "as the system" : theme));
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  paint(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    paint(theme);
    try { localStorage.setItem("lensscan-theme", theme); } catch { /* private window */ }
  });

  const list = document.querySelector("[data-list]");
  const form = document.querySelector("form.controls");
  const zoom = document.getElementById("zoom");
  if (!list || !form) return;

  const rows = document.querySelector("[data-rows]");
  const rowOf = new Map(rows ? [...rows.children].map((row) => [row.dataset.number, row]) : []);
  const cards = [...list.children].map((element) => ({
    element,
    row: rowOf.get(element.dataset.number),
    number: Number(element.dataset.number),
    keys: JSON.parse(element.dataset.keys),
    data: element.dataset,
  }));
  let shown = cards;

  const value = (name) => { const field = form.elements[name]; return field ? field.value : ""; };
  const matches = (card) => {
    const words = value("text").toLowerCase().split(/\s+/).filter(Boolean);
    const p = value("p");
    return words.every((word) => card.data.text.includes(word))
      && (!value("kind") || card.data.kind === value("kind"))
      && (!value("change") || card.data.change === value("change"))
      && (!value("known") || card.data.known === value("known"))
      && (!value("grade") || card.data.grade === value("grade"))
      && (!value("night") || card.data.nights.split(" ").includes(value("night")))
      && (p === "" || (card.keys.p_lens !== null && card.keys.p_lens >= Number(p)));
  };

  // Texts rise from A; numbers fall, the best first. What is unknown comes last either way.
  const direction = form.elements.direction;
  const headers = [...document.querySelectorAll("th[data-key]")];
  const startsLow = (key) => ["number", "name", "grade", "night", "subclass", "tile"].includes(key);
  let key = form.elements.sort.value;
  const rises = () => direction.getAttribute("aria-pressed") === "true";
  const compare = (key, sign) => (a, b) => {
    const x = a.keys[key] ?? null, y = b.keys[key] ?? null;
    if (x === null || y === null) return (x === null) - (y === null) || a.number - b.number;
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a.number - b.number;
  };
  const point = (up) => {
    direction.setAttribute("aria-pressed", String(up));
    direction.textContent = up ? "rising ↑" : "falling ↓";
  };

  const update = () => {
    const ordered = [...cards].sort(compare(key, rises() ? 1 : -1));
    for (const header of headers) {
      if (header.dataset.key === key) header.setAttribute("aria-sort", rises() ? "ascending" : "descending");
      else header.removeAttribute("aria-sort");
    }
    shown = ordered.filter(matches);
    const kept = new Set(shown);
    for (const card of ordered) {
      card.element.hidden = !kept.has(card);
      list.append(card.element);
      if (card.row) { card.row.hidden = !kept.has(card); rows.append(card.row); }
    }
    form.querySelector("output").textContent = `${shown.length} of ${cards.length} shown`;
  };
  const look = () => {
    root.dataset.map = value("map");
    zoom.querySelector("[data-maps] span").textContent = value("map");
    root.dataset.view = value("view") || "pictures";
    root.style.setProperty("--side", `${value("size")}px`);
  };

  form.addEventListener("input", (event) => {
    if (event.target.name === "sort") { key = event.target.value; point(startsLow(key)); }
    look();
    if (!["map", "view", "size"].includes(event.target.name)) update();
  });
  // The form resets its fields only after the event of its button: here it resets them at once, and the page shows it at once.
  const reset = () => { form.reset(); key = value("sort"); point(false); look(); update(); };
  form.querySelector("button[type=reset]").addEventListener("click", (event) => { event.preventDefault(); reset(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  direction.addEventListener("click", () => { point(!rises()); update(); });
  for (const header of headers) {
    header.firstElementChild.addEventListener("click", () => {
      point(header.dataset.key === key ? !rises() : startsLow(header.dataset.key));
      key = form.elements.sort.value = header.dataset.key;
      update();
    });
  }

  // A candidate of the list stands for its name with its picture.
  for (const link of document.querySelectorAll(".alike a")) {
    const picture = document.querySelector(`${link.hash} .picture:last-child img:not(.map)`);
    if (!picture) continue;
    const copy = picture.cloneNode();
    copy.alt = copy.title = link.textContent;
    link.replaceChildren(copy);
  }
  if (matchMedia("(max-width: 700px)").matches) {
    form.querySelector("details").open = false;
    form.elements.size.value = form.elements.size.defaultValue = "150";
  }

  // A link to a card shows it, even from the table.
  const reveal = () => {
    const target = /^#c\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!target) return;
    if (root.dataset.view === "table") { form.elements.view.value = "pictures"; look(); }
    if (target.hidden) reset();
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#c']");
    if (link && link.getAttribute("href") === location.hash) setTimeout(reveal);
  });

  // The pictures of one candidate, large; arrow keys go to the next one, m changes the maps.
  let at = null;
  const open = (card) => {
    at = card;
    zoom.querySelector("h2").textContent = card.element.querySelector("h3").textContent.trim().replace(/\s+/g, " ");
    const copies = [...card.element.querySelectorAll(".pictures")].map((pictures) => {
      const copy = document.createElement("div");
      copy.className = pictures.className;
      for (const picture of pictures.children) copy.append(picture.cloneNode(true));
      return copy;
    });
    zoom.querySelector(".zoom-body").replaceChildren(...copies);
    if (!zoom.open) zoom.showModal();
  };
  const nextMap = () => {
    const choices = [...form.elements.map];
    choices[(choices.findIndex((choice) => choice.checked) + 1) % choices.length].checked = true;
    look();
  };
  const step = (by) => {
    const withPictures = shown.filter((card) => card.element.querySelector(".pictures"));
    const next = withPictures[withPictures.indexOf(at) + by];
    if (next) open(next);
  };
  list.addEventListener("click", (event) => {
    const pictures = event.target.closest(".pictures");
    if (pictures) open(cards.find((card) => card.element.contains(pictures)));
  });
  zoom.addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (event.target === zoom || (pressed && "close" in pressed.dataset)) zoom.close();
    else if (pressed && "maps" in pressed.dataset) nextMap();
    else if (pressed && pressed.dataset.step) step(Number(pressed.dataset.step));
  });
  zoom.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === "m") nextMap();
    else return;
    event.preventDefault();
  });
  zoom.addEventListener("close", () => { if (at) at.element.querySelector(".pictures").focus(); });

  look();
  update();
  reveal();
})();
