"""Measures of nights as draws of known populations: what a gate sees of good nights, and of nights with one fault."""

import numpy as np

from scanner.quality.counts import UnitCounts, log_odds_histogram
from scanner.quality.measures import NightMeasures
from scanner.quality.objects import column

BANDS = ("VIS", "Y", "J", "H")
N_OBJECTS, N_TILES, ROWS = 400, 4, 500


def night(seed, *, zero_points=None, psf_ratio=1.0, noise_ratio=1.0, log_odds_shift=0.0, n_rejected=10, number=0):
    """Return the measures of a night; each seed is another field of the same sky with the same instrument.

    Galaxies have a colour scatter of 0.3 mag and widths of a PSF of 0.2 arcsec and a log-normal size.
    """
    rng = np.random.default_rng([7, seed])
    common = rng.normal(21.5, 0.8, N_OBJECTS) + rng.normal(0, 0.03)
    sizes = rng.lognormal(np.log(0.35), 0.5, N_OBJECTS)
    sample = {}
    for i, band in enumerate(BANDS):
        shift = (zero_points or {}).get(band, 0.0)
        psf_arcsec = (0.2 + 0.1 * i) * psf_ratio * (1 + rng.normal(0, 0.02))
        mag = common - 0.4 * i + rng.normal(0, 0.3, N_OBJECTS) + shift
        sample[column("level_sigma", band)] = rng.normal(0, 0.05, N_OBJECTS)
        sample[column("noise_ujy", band)] = 0.01 * noise_ratio * np.exp(rng.normal(0, 0.05, N_OBJECTS))
        sample[column("mag", band)] = mag
        sample[column("snr", band)] = np.full(N_OBJECTS, 50.0)
        sample[column("fwhm_arcsec", band)] = np.hypot(psf_arcsec, sizes) * np.exp(rng.normal(0, 0.05, N_OBJECTS))
    n = N_TILES * ROWS
    logits = rng.normal(-5 + log_odds_shift, 2.5, n)
    names = [f"t{i}" for i in range(N_TILES)]
    each = {"scored": ROWS - n_rejected, "rejected:not_finite": n_rejected}
    return NightMeasures(
        plan_id=f"{number:064x}",
        night=f"2026-01-{number + 1:02}",
        ensemble_sha256="e" * 64,
        catalogue_rows={name: int(rng.poisson(ROWS)) for name in names},
        lacking={},
        units={name: UnitCounts(by_status=each) for name in names},
        log_odds=tuple(log_odds_histogram(1 / (1 + np.exp(-logits))).tolist()),
        n_chosen=N_OBJECTS,
        sample={name: tuple(values.tolist()) for name, values in sample.items()},
    )
