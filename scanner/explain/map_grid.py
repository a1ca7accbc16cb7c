"""The grid of the maps that the catalogue stores with a candidate."""

SHOWN_ARCSEC = 8.0
"""Side of all maps: they hold rings of twice the Einstein radius that 95 % of lenses stay below (1.5 arcsec; Collett 2015)."""
PICTURE_PIXELS, GUIDED_CELLS, CAM_CELLS, OCCLUSION_CELLS = 80, 40, 20, 8
"""Number of pixels or cells a side."""
LEAST_CHANGE = 1e-3
"""Smallest change in log-odds that has a full colour: a hundred times the rounding error of float32 logits."""
CUTOUT_STEP_SIGMA = 0.05
"""Smallest unit of stored pixels, in sigma of the sky: rounding raises the noise by 0.01 %. Bright objects have a larger."""
