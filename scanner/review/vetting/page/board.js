"use strict";
/* The images of the page: one subject large, or a mosaic of many. */
class Board {
  static FACES = ["VIS", "Y", "J", "H"];
  static MOSAIC_FACES = ["colour", "VIS"];
  static LARGE_CELL = 150;
  static WIDE = 560;
  static BORDER = 2;
  static GAP = 4;

  constructor(work, album) {
    this.work = work;
    this.album = album;
    this.isMosaic = false;
    /* Pixels inside the arcs of a subject whose answer is told. */
    this.outline = null;
  }

  get box() {
    const box = View.get("stage").getBoundingClientRect();
    const style = getComputedStyle(View.get("stage"));
    const inner = (side) => box[side] - 2 * parseFloat(style.paddingLeft);
    return { width: inner("width"), height: inner("height"), isWide: box.width > Board.WIDE };
  }

  /* Return the places of the views that are shown. */
  get shown() {
    return this.isMosaic ? this.cells() : [this.work.at];
  }

  /* Paint what is shown, with the images that are there. */
  paint() {
    View.get("single").hidden = this.isMosaic;
    View.get("mosaic").hidden = !this.isMosaic;
    if (this.isMosaic) this.paintMosaic();
    else this.paintSingle();
    const keys = this.shown.map((i) => this.work.items[i].key);
    keys.forEach((key) => this.album.see(key));
    View.get("stage").dataset.drawn = keys.every((key) => this.album.has(key)) ? this.work.item.key : "";
  }

  paintSingle() {
    const { view } = Look;
    const image = this.album.get(this.work.item.key);
    const size = this.panelSize();
    const more = view.residual ? ", residual" : "";
    for (const [id, what, name] of [["first", view.face, view.face], ["second", "colour", "Colour"]]) {
      const canvas = View.get(id);
      if (image === undefined) Picture.words(Picture.fitted(canvas, size), canvas.width, "loading …");
      else Picture.paint(canvas, image, what, view, size, this.outline);
      canvas.setAttribute("aria-label", `${this.work.name(this.work.at)}: ${name}${more}`);
    }
    View.get("first-name").textContent = view.face + more;
    View.get("second-name").textContent = `H, Y + J, VIS${more}`;
    this.paintStrip(image);
  }

  /* Paint the small images below: the residual of VIS, and the other bands. */
  paintStrip(image) {
    const strip = View.get("strip");
    strip.hidden = !this.box.isWide || (image !== undefined && !image?.hasBands);
    if (strip.hidden || !image) return;
    const size = this.stripSize();
    [["VIS", true], ["Y", false], ["J", false], ["H", false]].forEach(([what, residual], i) => {
      const view = { ...Look.view, residual, zoom: 1 };
      Picture.paint(strip.children[i].firstElementChild, image, what, view, size, residual ? this.outline : null);
    });
  }

  panelSize() {
    const { width, height, isWide } = this.box;
    const label = 22;
    const gap = 12;
    const isAbreast = isWide || height < width;
    View.get("panels").dataset.abreast = isAbreast;
    const below = isWide ? this.stripSize() + label + gap : 0;
    const size = isAbreast ? Math.min((width - gap) / 2, height - label - below) : Math.min(width, height / 2 - label - 4);
    return Math.max(100, Math.floor(size));
  }

  stripSize() {
    return Math.max(70, Math.min(160, Math.floor(this.box.height * 0.2)));
  }

  /* ---- the mosaic ---- */

  /* Return the places of the views in the mosaic that holds the present one. */
  cells() {
    const { columns, rows } = this.shape();
    const n = columns * rows;
    const start = Math.floor(Math.max(0, this.work.real.indexOf(this.work.at)) / n) * n;
    return this.work.real.slice(start, start + n);
  }

  shape() {
    const { width, height, isWide } = this.box;
    const around = 2 * Board.BORDER + Board.GAP;
    const isSmall = Look.habits.grid === "small";
    const columns = isSmall ? (isWide ? 10 : 5) : Math.max(2, Math.floor(width / Board.LARGE_CELL));
    const fitting = Math.floor((width - 8) / columns) - around;
    if (!isSmall) return { columns, size: fitting, rows: Math.max(2, Math.floor((height - 8) / (fitting + around))) };
    const rows = isWide ? 10 : 8;
    return { columns, rows, size: Math.max(44, Math.min(fitting, Math.floor((height - 8) / rows) - around)) };
  }

  paintMosaic() {
    const { columns, size } = this.shape();
    const cells = this.cells();
    const grid = View.get("mosaic");
    grid.style.gridTemplateColumns = `repeat(${columns}, max-content)`;
    while (grid.childElementCount < cells.length) {
      grid.append(View.make("button", { type: "button" }, View.make("canvas"), View.make("b")));
    }
    while (grid.childElementCount > cells.length) grid.lastElementChild.remove();
    cells.forEach((i, k) => this.paintCell(grid.children[k], i, size));
    grid.querySelector('[aria-current="true"]')?.scrollIntoView({ block: "nearest" });
  }

  paintCell(cell, i, size) {
    const { key } = this.work.items[i];
    const grade = this.work.grade(i)?.grade ?? "";
    const { mosaicFace } = Look.habits;
    Object.assign(cell.dataset, { do: `cell ${i}`, grade });
    cell.setAttribute("aria-label", `${this.work.name(i)}, ${grade ? `graded ${grade}` : "not graded"}`);
    cell.setAttribute("aria-current", String(i === this.work.at));
    cell.tabIndex = i === this.work.at ? 0 : -1;
    cell.lastElementChild.textContent = grade;
    const wanted = [key, this.album.has(key), size, mosaicFace, JSON.stringify(Look.view)].join(" ");
    if (cell.dataset.painted === wanted) return;
    cell.dataset.painted = wanted;
    if (this.album.has(key)) Picture.paint(cell.firstElementChild, this.album.get(key), mosaicFace, Look.view, size);
    else Picture.fitted(cell.firstElementChild, size);
  }
}
