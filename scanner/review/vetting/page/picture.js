"use strict";
/* The image of a subject: read from a record, and painted on a canvas. */
const Picture = (() => {
  const SIDE = 80;
  const PIXELS = SIDE * SIDE;
  const PIXELS_PER_ARCSEC = 10;
  const HEADER_BYTES = 8;
  const BYTES = [0, 2 * 4 * PIXELS, 3 * PIXELS];
  const COLOUR = { H: 0.55, YJ: 0.35 };
  /* The stretch of the pictures that catalogues hold, to turn their colours back into sky sigma. */
  const STORED = { sky: 0.08, soft: 4, white: 150 };
  /* The place of each pixel in a picture: the first row of an image is the southernmost. */
  const PLACES = Int32Array.from({ length: PIXELS }, (_, i) => (SIDE - 1 - Math.floor(i / SIDE)) * SIDE + (i % SIDE));
  const buffer = document.createElement("canvas");
  buffer.width = buffer.height = SIDE;

  /* Return the images in some records, null for a subject without pixels. */
  function decoded(data) {
    const images = [];
    for (let at = 0; at < data.byteLength; ) {
      const head = new DataView(data, at, HEADER_BYTES);
      const kind = head.getUint32(0, true);
      const body = data.slice(at + HEADER_BYTES, at + HEADER_BYTES + BYTES[kind]);
      images.push([() => null, inSky, inColours][kind](body, head.getFloat32(4, true)));
      at += HEADER_BYTES + BYTES[kind];
    }
    return images;
  }

  function inSky(body, step) {
    /* Numbers are little endian, as on every machine that runs a browser today. */
    const units = new Int16Array(body);
    const band = (k) => new Float32Array(units.subarray(k * PIXELS, (k + 1) * PIXELS)).map((n) => n * step);
    return { hasBands: true, VIS: band(0), Y: band(1), J: band(2), H: band(3), residuals: {} };
  }

  /* A catalogue of an earlier version holds colours alone: they give VIS and H, and the sum of Y and J. */
  function inColours(body) {
    const bytes = new Uint8Array(body);
    const scale = Math.asinh(STORED.white / STORED.soft);
    const sigma = (byte) => STORED.soft * Math.sinh(((byte / 255 - STORED.sky) / (1 - STORED.sky)) * scale);
    const band = (k, factor) => Float32Array.from({ length: PIXELS }, (_, i) => sigma(bytes[3 * i + k]) / factor);
    const half = band(1, 2 * COLOUR.YJ);
    return { hasBands: false, VIS: band(2, 1), Y: half, J: half, H: band(0, COLOUR.H), residuals: {} };
  }

  function band(image, name, isResidual) {
    if (!isResidual) return image[name];
    return (image.residuals[name] ??= Stretch.residual(image[name], SIDE));
  }

  /* Return the pixels of a picture: a band in grey, or the colours. */
  function picture(image, what, { stretch, black, white, residual }) {
    const grey = Stretch.grey(stretch, black, white);
    const data = new ImageData(SIDE, SIDE);
    const bytes = data.data.fill(255);
    if (what !== "colour") {
      const values = band(image, what, residual);
      for (let i = 0; i < PIXELS; i++) bytes.fill(grey(values[i]), 4 * PLACES[i], 4 * PLACES[i] + 3);
      return data;
    }
    const [vis, y, j, h] = ["VIS", "Y", "J", "H"].map((name) => band(image, name, residual));
    for (let i = 0; i < PIXELS; i++) {
      const at = 4 * PLACES[i];
      bytes[at] = grey(h[i] * COLOUR.H);
      bytes[at + 1] = grey((y[i] + j[i]) * COLOUR.YJ);
      bytes[at + 2] = grey(vis[i]);
    }
    return data;
  }

  /* Paint an image on a canvas that is `size` CSS pixels wide. `what` is a band or "colour". */
  function paint(canvas, image, what, view, size, outline = null) {
    const context = fitted(canvas, size);
    if (!image) return words(context, canvas.width, "no pixels");
    const data = picture(image, what, view);
    if (outline) drawOutline(data, outline);
    const { offset, width } = enlarge(context, canvas, data, view);
    if (size >= 110) scaleBar(context, canvas, offset, (width / SIDE) * view.zoom * PIXELS_PER_ARCSEC, size);
  }

  function fitted(canvas, size) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.max(1, Math.round(size * ratio));
    canvas.style.width = canvas.style.height = `${size}px`;
    const context = canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  /* Draw the middle of a picture, smooth or in whole pixels; return its place and width in pixels of the screen. */
  function enlarge(context, canvas, data, view) {
    buffer.getContext("2d").putImageData(data, 0, 0);
    const field = SIDE / view.zoom;
    const isWhole = !view.smooth && canvas.width >= field;
    const width = isWhole ? field * Math.floor(canvas.width / field) : canvas.width;
    const offset = Math.floor((canvas.width - width) / 2);
    context.imageSmoothingEnabled = view.smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(buffer, (SIDE - field) / 2, (SIDE - field) / 2, field, field, offset, offset, width, width);
    return { offset, width };
  }

  function scaleBar(context, canvas, offset, arcsec, size) {
    const unit = canvas.width / size;
    const x = offset + 10 * unit;
    const y = canvas.height - offset - 12 * unit;
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * unit;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + arcsec, y);
      context.stroke();
    }
    context.font = `${12 * unit}px system-ui, sans-serif`;
    context.strokeStyle = "#000";
    context.lineWidth = 3 * unit;
    context.fillStyle = "#fff";
    context.strokeText("1\u2033", x, y - 6 * unit);
    context.fillText("1\u2033", x, y - 6 * unit);
  }

  function words(context, width, text) {
    context.fillStyle = "#9aa3b2";
    context.font = `${Math.max(10, width / 16)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(text, width / 2, width / 2);
    context.textAlign = "start";
  }

  /* Colour the border of the pixels that `isInside` names. */
  function drawOutline(data, isInside) {
    for (let i = 0; i < PIXELS; i++) {
      const x = i % SIDE;
      const neighbours = [x > 0 ? i - 1 : i, x < SIDE - 1 ? i + 1 : i, i - SIDE, i + SIDE];
      if (isInside[i] && neighbours.some((other) => !isInside[other])) data.data.set([86, 180, 233, 255], 4 * PLACES[i]);
    }
  }

  /* Paint a small map, `[y, x]` of `side` cells, with a function from a value to a colour. */
  function paintMap(canvas, values, side, colour, size, isSmooth) {
    const context = fitted(canvas, size);
    const cells = document.createElement("canvas");
    cells.width = cells.height = side;
    const data = new ImageData(side, side);
    values.forEach((value, i) => {
      data.data.set([...colour(value), 255], 4 * ((side - 1 - Math.floor(i / side)) * side + (i % side)));
    });
    cells.getContext("2d").putImageData(data, 0, 0);
    context.imageSmoothingEnabled = isSmooth;
    context.drawImage(cells, 0, 0, canvas.width, canvas.height);
  }

  return { SIDE, decoded, paint, paintMap, words, fitted };
})();
