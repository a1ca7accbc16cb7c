"use strict";
/* From brightness to grey: all images have the same scale, in sigma of their own sky. */
const Stretch = (() => {
  const SOFT = 4;
  const strengths = {
    asinh: (sigma) => Math.asinh(sigma / SOFT),
    linear: (sigma) => sigma,
    log: (sigma) => Math.sign(sigma) * Math.log1p(Math.abs(sigma)),
  };

  /* Return a function from sky sigma to 0-255: `black` and below is 0, `white` and above 255. */
  function grey(name, black, white) {
    const strength = strengths[name];
    const low = strength(black);
    const scale = 255 / (strength(white) - low);
    return (sigma) => Math.max(0, Math.min(255, (strength(sigma) - low) * scale));
  }

  /* Return where 180 degrees turn the image into itself best: the sum of both pixels that change places, in x and in y. */
  function centre(band, side) {
    const core = Math.round(side / 8);
    let best = { error: Infinity, x: side - 1, y: side - 1 };
    for (let y = side - 4; y <= side + 2; y++) {
      for (let x = side - 4; x <= side + 2; x++) {
        let error = 0;
        for (let dy = -core; dy <= core; dy++) {
          for (let dx = -core; dx <= core; dx++) {
            const row = side / 2 + dy;
            const column = side / 2 + dx;
            const difference = band[row * side + column] - band[(y - row) * side + (x - column)];
            error += difference * difference;
          }
        }
        if (error < best.error) best = { error, x, y };
      }
    }
    return best;
  }

  /* Return the image minus itself turned by 180 degrees; 0 where the turned image has no pixel. */
  function residual(band, side, about = centre(band, side)) {
    const left = new Float32Array(band.length);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const row = about.y - y;
        const column = about.x - x;
        const isInside = row >= 0 && row < side && column >= 0 && column < side;
        left[y * side + x] = isInside ? band[y * side + x] - band[row * side + column] : 0;
      }
    }
    return left;
  }

  return { names: Object.keys(strengths), grey, centre, residual };
})();
