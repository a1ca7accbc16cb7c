"use strict";
/* The keys of the page: what each does, and the list of them that the help shows. */
const Keys = (() => {
  const TABLE = [
    ["Grade", [
      ["a", "Sure lens, next", "grade A"], ["b", "Probable lens, next", "grade B"], ["c", "Possible lens, next", "grade C"],
      ["x", "No lens, next", "grade X"], ["o", "Flag: compound lens", "compound"], ["i", "Flag: interesting", "interesting"],
      ["/", "Comment; Enter goes back", "comment"], ["u", "Undo the last grade", "undo"],
    ]],
    ["Move", [
      ["ArrowRight", "Next", "next"], ["ArrowLeft", "Previous", "previous"], ["Enter", "First that is not graded", "continue"],
      ["n", "Go on after a grade, or stay", "advance"], ["m", "Mosaic, or one by one", "mosaic"],
      ["g", "Mosaic: small, or large images", "grid"], ["Shift+X", "Mosaic, twice: all others here are no lenses", "rest"],
      ["e", "Evidence, after the grade", "evidence"], ["w", "Most alike, after the grade; again: next", "alike"],
    ]],
    ["Display", [
      ["v", "Band: VIS, Y, J, H; mosaic: colour, VIS", "face"], ["r", "Residual, 180°", "residual"],
      ["s", "asinh, linear, log", "stretch"], ["k", "More contrast, also ↑", "brighter"],
      ["j", "Less contrast, also ↓", "darker"], ["z", "Smooth, or whole pixels", "smooth"], ["+", "Zoom: 1, 2, 4 times", "zoom"],
      ["0", "Reset the display", "reset"], ["l", "Dark or light", "theme"], ["?", "This help, also h", "help"],
    ]],
  ];
  const ALSO = { ArrowUp: "brighter", ArrowDown: "darker", h: "help", "[": "darker", "]": "brighter", "=": "zoom", ".": "next", ",": "previous" };
  const NAMES = { ArrowRight: "→", ArrowLeft: "←" };
  const actions = new Map([...TABLE.flatMap(([, keys]) => keys.map(([key, , action]) => [key, action])), ...Object.entries(ALSO)]);

  /* Return what a key does: an action, and for a digit the reason of that number. Null for other keys. */
  function action(event, nReasons) {
    const found = pressed(event, nReasons);
    /* A held key moves on, but says nothing about what it has not shown. */
    return event.repeat && /^(grade|reason|rest|undo)/.test(found) ? null : found;
  }

  function pressed(event, nReasons) {
    if (event.ctrlKey || event.altKey || event.metaKey) return null;
    const { key } = event;
    if (/^[1-9]$/.test(key) && Number(key) <= nReasons) return `reason ${Number(key) - 1}`;
    if (event.shiftKey && key.toUpperCase() === "X") return "rest";
    return actions.get(key) ?? actions.get(key.toLowerCase()) ?? null;
  }

  function shown(key) {
    return NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
  }

  return { TABLE, action, shown };
})();
