"""An ensemble whose scores are known by hand, the mean of the scaled stamps, and cutouts for it."""

import numpy as np

from scanner.networks.ensemble import EnsembleScores
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import CHALLENGE
from tests.scanner.scaling import min_max


class MeanEnsemble:
    """Ensemble in which p of `A` is the mean of VIS after min-max, p of `B` the mean of H, and p_lens the mean of both."""

    geometry = CHALLENGE
    network_names = ("A", "B")

    def __init__(self, compound=True, spoil=None):
        self.compound = compound
        self.spoil = spoil
        self.batches = []

    def score(self, stamps):
        self.batches.append(len(stamps["VIS"]))
        p = {name: min_max(stamps[band]).mean(axis=(1, 2)) for name, band in zip("AB", ("VIS", "H"), strict=True)}
        if self.spoil is not None:
            p["B"][-1] = self.spoil
        p_lens = (p["A"] + p["B"]) / 2
        if not self.compound:
            return EnsembleScores(p, p_lens * 0.1, p_lens, None, None)
        shares = np.tile(np.float32([0.5, 0.375, 0.125]), (len(p_lens), 1))
        return EnsembleScores(p, p_lens * 0.1, p_lens, p_lens / 2, ["single"] * len(p_lens), shares)


def cutout(seed, *notes):
    rng = np.random.default_rng(seed)
    shapes = {band: (grid.n_pixels, grid.n_pixels) for band, grid in CHALLENGE.grids.items()}
    return Cutout({band: rng.exponential(size=shape).astype(np.float32) for band, shape in shapes.items()}, notes)


CUTOUTS = [cutout(i) for i in range(4)]


def expected(row):
    p = {name: float(min_max(row.stamps[band][None]).mean()) for name, band in (("A", "VIS"), ("B", "H"))}
    return {"p_A": p["A"], "p_B": p["B"], "p_lens": (p["A"] + p["B"]) / 2}
