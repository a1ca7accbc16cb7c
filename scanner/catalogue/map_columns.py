"""The columns of candidates with maps: numbers of the maps, and the pixels; `scanner.explain.candidate_maps` makes them."""

import pyarrow as pa

from scanner.catalogue.column import Column, MapColumn
from scanner.vocabulary.bands import EUCLID

CUTOUT_STEP = Column(
    "cutout_step",
    pa.float32(),
    "",
    "arith.factor",
    "Size of one unit of cutout_sigma, in sigma of the sky; null if a scan of an earlier version did not store the pixels",
)
CUTOUT = MapColumn(
    "cutout_sigma",
    pa.list_(pa.int16()),
    "",
    "phot.flux;obs.image",
    "Pixels of 4 x 80 x 80 [band, y, x] in the order VIS, Y, J, H, 0.1 arcsec a pixel, above the sky, in units of cutout_step "
    "sigma of the band's own sky, with a rounding error of half a unit",
    shape=(4, 80, 80),
)
EXPLANATION_COLUMNS = (
    Column(
        "attribution_core",
        pa.float32(),
        "",
        "stat.value;arith.ratio",
        "Share of Guided Grad-CAM, summed over the networks, within 0.5 arcsec of the centre; null if all their maps are zero",
    ),
    Column(
        "attribution_arc",
        pa.float32(),
        "",
        "stat.value;arith.ratio",
        "Share of Guided Grad-CAM between 0.5 and 3 arcsec from the centre, the range of arcs",
    ),
    Column(
        "attribution_peak_arcsec",
        pa.float32(),
        "arcsec",
        "pos.angDistance",
        "Distance of the highest pixel of map_guided from the centre, in arcsec",
    ),
    *(
        Column(
            f"attribution_{band.lower()}",
            pa.float32(),
            "",
            "stat.value;arith.ratio",
            f"Share of Guided Grad-CAM in the band {band}",
        )
        for band in EUCLID
    ),
    Column(
        "attribution_agreement",
        pa.float32(),
        "",
        "stat.correlation",
        "Mean correlation of Guided Grad-CAM over all pairs of networks; null if fewer than two have a map to compare",
    ),
    Column(
        "occlusion_drop",
        pa.float32(),
        "",
        "stat.value",
        "Largest drop in ln(p/(1-p)) of the occluded network when one square of map_occlusion is hidden",
    ),
    Column("occlusion_step", pa.float32(), "", "arith.factor", "Size of one unit of map_occlusion, in ln(p/(1-p))"),
    CUTOUT_STEP,
)
"""Columns of candidates with maps; null in all other rows."""

MAP_COLUMNS = (
    MapColumn(
        "cutout_rgb",
        pa.list_(pa.uint8()),
        "",
        "phot.flux;obs.image",
        "Picture of 80 x 80 x 3 [y, x, colour], 0.1 arcsec a pixel: asinh of 0.55 H (red), 0.35 (Y + J) (green), VIS (blue), "
        "each in its own sky sigmas",
        shape=(80, 80, 3),
    ),
    CUTOUT,
    MapColumn(
        "map_guided",
        pa.list_(pa.uint8()),
        "",
        "stat.value;obs.image",
        "Guided Grad-CAM summed over the networks, 40 x 40 [y, x], 0.2 arcsec a pixel; maximum 255 with 0.2 % rounding error",
        shape=(40, 40),
    ),
    MapColumn(
        "map_cam",
        pa.list_(pa.uint8()),
        "",
        "stat.value;obs.image",
        "Grad-CAM summed over the networks, 20 x 20 [y, x], 0.4 arcsec a pixel; maximum 255 with 0.2 % rounding error",
        shape=(20, 20),
    ),
    MapColumn(
        "map_occlusion",
        pa.list_(pa.int16()),
        "",
        "stat.value;obs.image",
        "Change in ln(p/(1-p)) of one network when a square is hidden, 8 x 8 [y, x], 1 arcsec a square, in units of "
        "occlusion_step with a rounding error of half a unit; negative for squares in favour of a lens",
        shape=(8, 8),
    ),
)
"""Maps of the central 8 arcsec of candidates, sky up: the same for every ensemble."""
