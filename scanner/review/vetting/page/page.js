"use strict";
/* The page: what keys and buttons do. */
(async () => {
  const { get, toast } = View;
  const AHEAD = 12;
  const TWICE_MS = 4000;
  const RETRY_MS = 2000;

  Look.change({});
  const source = Source.found();
  const state = await begun();
  const queue = source.queue(state.session, showSaved);
  const work = new Work(state, queue);
  const album = new Album(source);
  const board = new Board(work, album);
  const trail = new Trail(state, work, source, queue);
  let draft = {};
  /* Whether the answer of the present training subject is told. */
  let isTold = false;
  let restAskedAt = -Infinity;

  async function begun() {
    View.notice("Reading the catalogue …");
    for (;;) {
      try {
        return await source.state();
      } catch (error) {
        View.notice(error.message);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /* ---- what is shown ---- */

  /* Show the present view from the beginning. */
  async function show() {
    const act = work.grade(work.at);
    isTold = false;
    restAskedAt = -Infinity;
    board.outline = null;
    draft = { is_compound: act?.is_compound ?? false, is_interesting: act?.is_interesting ?? false };
    get("comment").value = act?.comment ?? "";
    hideEvidence();
    if (work.item?.isTraining) board.isMosaic = false;
    await draw();
  }

  async function draw() {
    showWords();
    if (!work.items.length) return View.notice("There is nothing to grade.");
    const keys = board.shown.map((i) => work.items[i].key);
    board.paint();
    try {
      await album.load(keys);
    } catch (error) {
      View.notice(error.message);
      if (!(error instanceof Source.Refused)) setTimeout(draw, RETRY_MS);
      return;
    }
    View.notice("");
    board.paint();
    const ahead = work.upcoming(board.shown.at(-1), board.isMosaic ? keys.length : AHEAD);
    await album.load(ahead).catch(() => {});
    album.forget(new Set([...keys, ...ahead]));
  }

  function showWords() {
    const nReal = work.real.length;
    const { nDone } = work;
    const { isTraining } = work.item ?? {};
    get("place").textContent = isTraining ? `training ${work.at + 1} of ${work.nTraining}` : `${nDone} of ${nReal} graded`;
    Object.assign(get("progress"), { max: Math.max(1, nReal), value: nDone });
    const act = work.grade(work.at);
    get("asked").textContent = work.item ? asked(act, isTraining, nDone === nReal) : "";
    for (const button of get("grades").children) press(button, act?.grade === button.dataset.grade);
    for (const button of get("reasons").children) press(button, act?.reason === button.dataset.reason);
    const { view, habits } = Look;
    const toggles = { compound: draft.is_compound, interesting: draft.is_interesting, residual: view.residual, mosaic: board.isMosaic };
    for (const [name, isOn] of Object.entries(toggles)) press(document.querySelector(`[data-do="${name}"]`), isOn);
    get("stretch").textContent = view.stretch;
    get("contrast").textContent = `${Number(view.white.toPrecision(2))} σ`;
    get("smooth").textContent = view.smooth ? "Smooth" : "Pixels";
    get("zoom").textContent = `${view.zoom}×`;
    get("face").textContent = board.isMosaic ? { colour: "Colour" }[habits.mosaicFace] ?? habits.mosaicFace : view.face;
    get("grid").hidden = !board.isMosaic;
    get("grid").textContent = habits.grid === "small" ? "Small" : "Large";
  }

  function asked(act, isTraining, isAll) {
    const grade = act ? `graded ${act.grade}${act.reason ? `, ${act.reason}` : ""}` : "not graded yet";
    const more = isTraining ? (act ? ". → goes on." : ". You get the answer.") : isAll ? ". All are graded. Thank you!" : "";
    return `${work.name(work.at)}: ${grade}${more}`;
  }

  function press(button, isOn) {
    button.setAttribute("aria-pressed", String(Boolean(isOn)));
  }

  function showSaved() {
    const n = queue.waiting.size;
    const refused = queue.refused.size ? `${queue.refused.size} not taken: ${[...queue.refused.values()][0]}` : "";
    const waiting = n ? `${n} not saved yet${queue.trouble ? `: ${queue.trouble}` : ""}` : "";
    const box = get("saved");
    box.textContent = refused || waiting || (source.isFile ? "kept in this browser" : "saved");
    box.title = box.textContent;
    box.dataset.trouble = String(Boolean(refused || queue.trouble));
    box.dataset.waiting = String(n);
  }

  /* ---- grades ---- */

  async function grade(letter, reason = null) {
    const { item } = work;
    if (!item) return;
    if (isTold) return goOn();
    if (!album.has(item.key)) return toast("Wait: the image is not there yet.");
    const name = work.name(work.at);
    const fields = { item: item.key, grade: letter, reason, ...draft, comment: get("comment").value.trim() };
    const [act] = work.give([{ ...fields, decision_s: album.secondsSince(item.key) }]);
    if (item.isTraining) return tell(item, act);
    const counted = work.grade(work.at);
    const stays = `${name}: ${counted.grade} stays, from ${work.origin(counted)}`;
    const done = counted === act ? `${name}: ${letter}${reason ? `, ${reason}` : ""}` : stays;
    const open = board.isMosaic ? nextInMosaic() : work.nextOpen(work.at);
    if (Look.habits.advance && open >= 0) work.at = open;
    toast(open < 0 ? `${done}. All are graded.` : done);
    await show();
  }

  /* Return the next view of the mosaic without a grade; then that of the next mosaic. */
  function nextInMosaic() {
    const cells = board.cells();
    const later = cells.filter((i) => i > work.at);
    return [...later, ...cells].find((i) => !work.grade(i)) ?? work.nextOpen(cells.at(-1));
  }

  /* Tell the answer of a training subject. */
  async function tell(item, act) {
    isTold = true;
    showWords();
    await queue.stored(act.act_id);
    await reveal(item.key);
  }

  function undo() {
    const undone = work.undo();
    if (!undone.length) return toast("There is nothing to undo.");
    toast(`Took back ${undone.length > 1 ? `${undone.length} grades` : undone[0].grade}.`);
    return show();
  }

  /* Grade all others of a mosaic X, once the key is pressed a second time. */
  function rest() {
    if (!board.isMosaic) return toast("This key is for the mosaic.");
    const open = board.cells().filter((i) => !work.grade(i) && album.get(work.items[i].key));
    if (!open.length) return toast("All of these are graded.");
    if (performance.now() - restAskedAt > TWICE_MS) {
      restAskedAt = performance.now();
      return toast(`Once more: the other ${open.length} of this page are no lenses.`);
    }
    work.give(open.map((i) => ({ item: work.items[i].key, grade: "X", decision_s: album.secondsSince(work.items[i].key) })));
    const following = work.nextOpen(board.cells().at(-1));
    if (following >= 0) work.at = following;
    toast(`${open.length} graded X.`);
    return show();
  }

  function flag(name) {
    draft[name] = !draft[name];
    showWords();
    if (work.isSettled) toast(`${work.whySettled}: a new flag does not count.`);
    else if (work.grade(work.at)) toast("Grade again to store the flag.");
  }

  /* ---- moves ---- */

  function move(step) {
    if (isTold && step > 0) return goOn();
    const to = work.at + step;
    if (to < 0 || to >= work.items.length) return toast(to < 0 ? "This is the first." : "This is the last.");
    work.at = to;
    return show();
  }

  /* Go on from a subject whose answer was told. */
  function goOn() {
    const open = work.nextOpen(work.at);
    if (open < 0) return toast("All are graded.");
    work.at = open;
    if (!work.item.isTraining) toast("The training is over: from now on, grades count.");
    return show();
  }

  function moveRow(step) {
    const cells = board.cells();
    const to = cells.indexOf(work.at) + step * board.shape().columns;
    if (to < 0 || to >= cells.length) return move(step > 0 ? cells.length - cells.indexOf(work.at) : -1 - cells.indexOf(work.at));
    work.at = cells[to];
    return show();
  }

  function toOpen() {
    if (isTold) return goOn();
    const open = work.nextOpen(-1);
    if (open < 0) return toast("All are graded.");
    work.at = open;
    return show();
  }

  function openCell(i) {
    if (i === work.at) board.isMosaic = false;
    work.at = i;
    return show();
  }

  function toggleMosaic() {
    if (work.item?.isTraining) return toast("The mosaic comes after the training.");
    board.isMosaic = !board.isMosaic;
    return show();
  }

  /* ---- evidence ---- */

  async function toggleEvidence() {
    if (!get("evidence").hidden) return hideEvidence();
    const { key } = work.item;
    const act = work.grade(work.at);
    if (state.is_blind && !act) return toast("Grade first: the evidence is hidden until then.");
    if (act) await queue.stored(act.act_id);
    await reveal(key);
  }

  async function reveal(key) {
    let facts;
    try {
      facts = await source.facts(key);
    } catch (error) {
      return toast(error.message);
    }
    work.know([key, ...facts.same]);
    if (work.item.key !== key) return;
    View.evidence(facts, work.grade(work.at)?.grade);
    get("evidence").hidden = false;
    evidenceButton().setAttribute("aria-expanded", "true");
    get("evidence").scrollIntoView({ block: "nearest" });
    board.outline = facts.answer?.arcs ? bitsOf(facts.answer.arcs) : null;
    if (board.outline) board.paint();
  }

  function hideEvidence() {
    get("evidence").hidden = true;
    get("evidence").replaceChildren();
    evidenceButton().setAttribute("aria-expanded", "false");
  }

  function evidenceButton() {
    return document.querySelector('[data-do="evidence"]');
  }

  async function alike() {
    const { isThere, text } = await trail.step();
    toast(text);
    return isThere ? show() : undefined;
  }

  function bitsOf(hex) {
    return [...hex].flatMap((digit) => [8, 4, 2, 1].map((bit) => (parseInt(digit, 16) & bit) > 0));
  }

  /* ---- display ---- */

  function display(change, habit) {
    Look.change(change, habit);
    showWords();
    if (work.items.length) board.paint();
  }

  function after(list, value) {
    return list[(list.indexOf(value) + 1) % list.length];
  }

  function face() {
    if (board.isMosaic) return display({}, { mosaicFace: after(Board.MOSAIC_FACES, Look.habits.mosaicFace) });
    return display({ face: after(Board.FACES, Look.view.face) });
  }

  function grid() {
    Look.change({}, { grid: Look.habits.grid === "small" ? "large" : "small" });
    return show();
  }

  function advance() {
    Look.change({}, { advance: !Look.habits.advance });
    toast(Look.habits.advance ? "A grade goes on to the next." : "A grade stays; → goes on.");
  }

  /* ---- files ---- */

  function download() {
    const text = VoteTable.written(source.votes([...work.acts.values()]));
    const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    View.make("a", { download: `votes-${state.grader}.csv`, href }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10000);
  }

  async function importVotes(file) {
    try {
      const { acts, nUnknown } = source.acts(VoteTable.read(await file.text()));
      const n = work.take(acts);
      await show();
      toast(`${n} acts read${nUnknown ? `; ${nUnknown} are of other graders or subjects` : ""}.`);
    } catch (error) {
      toast(`${file.name}: ${error.message}`);
    }
  }

  /* ---- keys, buttons and fingers ---- */

  const { view } = Look;
  const actions = {
    grade: (letter) => grade(letter),
    reason: (i) => grade("X", work.reasons[Number(i)]),
    cell: (i) => openCell(Number(i)),
    compound: () => flag("is_compound"),
    interesting: () => flag("is_interesting"),
    comment: () => get("comment").focus(),
    next: () => move(1),
    previous: () => move(-1),
    continue: toOpen,
    mosaic: toggleMosaic,
    evidence: toggleEvidence,
    alike,
    residual: () => display({ residual: !view.residual }),
    stretch: () => display({ stretch: after(Stretch.names, view.stretch) }),
    brighter: () => display({ white: view.white / 1.4 }),
    darker: () => display({ white: view.white * 1.4 }),
    smooth: () => display({ smooth: !view.smooth }),
    zoom: () => display({ zoom: after([1, 2, 4], view.zoom) }),
    reset: () => display({ ...Look.DISPLAY }),
    theme: () => display({}, { theme: Look.habits.theme === "dark" ? "light" : "dark" }),
    help: () => get("help").showModal(),
    undo, rest, face, grid, advance, download,
  };

  function run(action) {
    const [name, argument] = action.split(" ");
    return actions[name](argument);
  }

  function onKey(event) {
    if (get("help").open) {
      if (Keys.action(event, 0) === "help") get("help").close();
      return;
    }
    if (event.target === get("comment")) {
      if (["Enter", "Escape"].includes(event.key)) get("comment").blur();
      return;
    }
    const isButton = event.target.matches("button, a, label, input") && !event.target.closest(".mosaic");
    /* A held key presses a button once. */
    if (isButton && ["Enter", " "].includes(event.key)) return event.repeat ? event.preventDefault() : undefined;
    const rows = { ArrowUp: -1, ArrowDown: 1 };
    const action = board.isMosaic && event.key === "Enter" ? `cell ${work.at}` : Keys.action(event, work.reasons.length);
    if (!action) return;
    event.preventDefault();
    if (board.isMosaic && rows[event.key]) moveRow(rows[event.key]);
    else run(action);
  }

  function onClick(event) {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    run(button.dataset.do);
    /* With a mouse or a finger the focus would stay, and Enter would press the button again. */
    if (event.detail > 0 && !button.closest(".mosaic")) button.blur();
  }

  /* Drag on an image: to the left and right for white, up and down for black. */
  function watchDrags(panels) {
    let from = null;
    panels.addEventListener("pointerdown", (event) => {
      if (event.target.tagName !== "CANVAS") return;
      from = { x: event.clientX, y: event.clientY, white: view.white, black: view.black };
      event.target.setPointerCapture(event.pointerId);
    });
    panels.addEventListener("pointermove", (event) => {
      if (!from) return;
      const white = from.white * Math.exp((from.x - event.clientX) / 160);
      display({ white, black: from.black + (event.clientY - from.y) / 40 });
    });
    for (const end of ["pointerup", "pointercancel"]) panels.addEventListener(end, () => { from = null; });
  }

  get("title").textContent = state.title;
  get("grader").textContent = state.grader;
  get("files").hidden = !source.isFile;
  View.strip();
  View.gradeButtons(state.grades);
  View.reasonButtons(state.reasons);
  View.help(state.grades, state.reasons);
  View.nameKeys();
  watchDrags(get("panels"));
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  get("import").addEventListener("change", async (event) => {
    await Promise.all([...event.target.files].map(importVotes));
    event.target.value = "";
  });
  /* Evidence takes space from the images, too. */
  new ResizeObserver(() => draw()).observe(get("stage"));
  window.addEventListener("online", () => queue.flush());
  window.addEventListener("beforeunload", (event) => {
    /* The browser keeps nothing, and the server has not answered. */
    if (queue.kept.lacks.size) event.preventDefault();
  });
  queue.flush();
  await show();
})();
