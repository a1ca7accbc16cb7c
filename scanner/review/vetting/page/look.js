"use strict";
/* Habits of the grader and settings of the display; the browser keeps them for all catalogues. */
const Look = (() => {
  const NAME = "lensscan:preferences";
  const DISPLAY = { stretch: "asinh", white: 150, black: -1.6, smooth: true, zoom: 1, residual: false, face: "VIS" };
  const BLACKS = [-5, 30];
  const WHITES = [4, 5000];
  const LEAST_RANGE = 2;

  /* Return what the browser keeps under a name, or something else if it keeps nothing. */
  function kept(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  }

  function keep(name, value) {
    try {
      localStorage.setItem(name, JSON.stringify(value));
    } catch {
      /* The browser keeps nothing: the page works all the same. */
    }
  }

  const before = kept(NAME, {});
  /* The display, the same for all objects. */
  const view = { ...DISPLAY, ...before.view, zoom: 1, residual: false };
  const habits = { theme: "dark", advance: true, grid: "small", mosaicFace: "colour", ...before.habits };

  function change(display, habit = {}) {
    Object.assign(view, display);
    Object.assign(habits, habit);
    view.white = between(WHITES, view.white);
    view.black = Math.min(between(BLACKS, view.black), view.white - LEAST_RANGE);
    document.documentElement.dataset.theme = habits.theme;
    keep(NAME, { view, habits });
  }

  function between([low, high], value) {
    return Math.max(low, Math.min(high, value));
  }

  return { view, habits, change, kept, keep, DISPLAY };
})();
