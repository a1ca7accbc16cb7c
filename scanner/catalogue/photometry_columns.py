"""The columns of photometry; `scanner.explain.photometry` measures them."""

import pyarrow as pa

from scanner.catalogue.column import Column
from scanner.vocabulary.bands import EUCLID

_EM = {"VIS": "em.opt", "Y": "em.IR.J", "J": "em.IR.J", "H": "em.IR.H"}
"""UCD words of the bands; Y lies within the range of IR.J, 1.0 to 1.5 micrometres."""
PHOTOMETRY_COLUMNS = (
    *(
        Column(
            f"mag_{band.lower()}_{diameter}arcsec",
            pa.float32(),
            "mag",
            f"phot.mag;{_EM[band]}",
            f"AB magnitude of the light of {band} above the sky in a circle of {diameter} arcsec diameter about the position, "
            "not corrected for light outside",
        )
        for diameter in (1, 2)
        for band in EUCLID
    ),
    *(
        Column(
            f"sky_sigma_{band.lower()}_ujy",
            pa.float32(),
            "uJy",
            f"stat.stdev;phot.flux.density;{_EM[band]}",
            f"Standard deviation of the sky of {band} around the object, per pixel of the networks' input",
        )
        for band in EUCLID
    ),
    Column(
        "lens_vis_minus_h",
        pa.float32(),
        "mag",
        "phot.color",
        "AB colour VIS - H in a circle of 1 arcsec diameter, VIS blurred to the width of H",
    ),
    Column(
        "lens_y_minus_h",
        pa.float32(),
        "mag",
        "phot.color",
        "AB colour Y - H in a circle of 1 arcsec diameter, Y blurred to the width of H",
    ),
    Column(
        "arc_snr_vis",
        pa.float32(),
        "",
        "stat.snr;em.opt",
        "Signal-to-noise ratio of VIS light between 0.5 and 3 arcsec from the centre that rises above the galaxy; 0 if "
        "there is none; neighbours count; null for candidates without maps",
    ),
    Column(
        "arc_vis_minus_h",
        pa.float32(),
        "mag",
        "phot.color",
        "AB colour VIS - H of the light of arc_snr_vis; null if there is none, or for candidates without maps",
    ),
)
"""Photometry of candidates; null in all other rows, and without the zero point of the mosaics."""
