"""Anomalies of changed images: how many simulated objects does `anomaly` call unlike the simulations after a change?

`python -m tests.benchmarks.anomalies` simulates objects, changes their images in six ways, scores them as a scan does, and
writes ANOMALIES.md beside this file, or to `--out`. It takes about a minute.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation

from infra.settings import Settings
from scanner.completeness import fraction
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.feature_reference import FeatureReference
from scanner.networks.package import load_scorer
from scanner.sources.shards import shard_of
from scanner.vocabulary.geometry import GEOMETRIES
from simulation.population.draw import LENS_SHARES
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.benchmarks.references import referenced
from tests.circumstances import commit

RESULTS = Path(__file__).with_name("ANOMALIES.md")
N_OBJECTS, SEED = 600, 27_110_021
"""Objects of each change, half of them lenses, and the seed, which no training, no evaluation and no reference uses."""
SHIFT_ARCSEC = 1.5
Stamps = dict[str, NDArray[np.float32]]
Change = Callable[[Stamps, Generator], Stamps]


def negative(stamps: Stamps, _: Generator) -> Stamps:
    """Change the sign of every pixel."""
    return {band: -images for band, images in stamps.items()}


def noise(stamps: Stamps, rng: Generator) -> Stamps:
    """Replace every image by Gaussian noise with its scatter."""

    def noise_like(images: NDArray[np.float32]) -> NDArray[np.float32]:
        scatter = median_abs_deviation(images, axis=(1, 2), scale="normal", nan_policy="omit")
        return (scatter[:, None, None] * rng.normal(size=images.shape)).astype(np.float32)

    return {band: noise_like(images) for band, images in stamps.items()}


def bright_column(stamps: Stamps, _: Generator) -> Stamps:
    """Give the column of VIS through the object the value of its brightest pixel."""
    changed = stamps["VIS"].copy()
    changed[:, :, changed.shape[2] // 2] = np.nanmax(stamps["VIS"], axis=(1, 2))[:, None]
    return {**stamps, "VIS": changed}


def shifted(pixel_scale_arcsec: float) -> Change:
    """Return the change that moves VIS by `SHIFT_ARCSEC` against the other bands."""
    n_pixels = round(SHIFT_ARCSEC / pixel_scale_arcsec)
    return lambda stamps, _: {**stamps, "VIS": np.roll(stamps["VIS"], n_pixels, axis=2)}


def exchanged(stamps: Stamps, _: Generator) -> Stamps:
    """Exchange VIS and H."""
    return {**stamps, "VIS": stamps["H"], "H": stamps["VIS"]}


def changes(pixel_scale_arcsec: float) -> dict[str, Change]:
    """Return the changes by name."""
    return {
        "none": lambda stamps, _: stamps,
        "negatives": negative,
        "pure noise": noise,
        "a bright column of VIS through the object": bright_column,
        f"VIS shifted by {SHIFT_ARCSEC} arcsec": shifted(pixel_scale_arcsec),
        "VIS and H exchanged": exchanged,
    }


def rows(scorer: Scorer, reference: FeatureReference, stamps: Stamps, pixel_scale_arcsec: float) -> Iterator[str]:
    """Yield a row of the table for each change: objects that the first stage leaves, and how many lie beyond 1."""
    for name, change in changes(pixel_scale_arcsec).items():
        features = scorer.score(change(stamps, default_rng(SEED))).features
        seen = features[~np.isnan(features).any(axis=1)] if features is not None else np.empty((0, 1))
        if len(seen):
            n_beyond = int((reference.anomalies(reference.embeddings(seen)) > 1).sum())
            yield f"| {name} | {len(seen)} | {fraction(n_beyond, len(seen))} |"
        else:
            yield f"| {name} | 0 | |"


_INTRODUCTION = """# Anomalies of changed images

Written by `tests/benchmarks/anomalies.py`, commit {:.12}, for {} `{:.12}`: {} simulated objects, half of them lenses, whose
images are changed. Only objects that the first stage leaves have an anomaly.

| change | left by the first stage | share with an anomaly above 1, with its 95 % interval |
| --- | --- | --- |
"""


def main() -> None:
    settings = Settings.read()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", default=settings.ensemble)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    package, card, reference = referenced(parser, options.ensemble)
    scorer = load_scorer(package, resolve_engine(settings.engine), 1, checks_pixels=False, features=True)
    of_lenses = sum(share for _, share in LENS_SHARES)
    kinds = [("nonlens", 0.5), *((kind, 0.5 * share / of_lenses) for kind, share in LENS_SHARES)]
    spec = DatasetSpec.model_validate({"n": N_OBJECTS, "seed": SEED, "kinds": kinds, "geometry": card.geometry})
    stamps = shard_of(simulate_objects(spec, range(N_OBJECTS))).stamps
    text = _INTRODUCTION.format(commit(), card.name, card.sha256, N_OBJECTS)
    pixel_scale_arcsec = GEOMETRIES[card.geometry].grids["VIS"].pixel_scale_arcsec
    options.out.write_text(text + "\n".join(rows(scorer, reference, dict(stamps), pixel_scale_arcsec)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
