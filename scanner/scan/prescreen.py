"""Look at every row with fast, rounded arithmetic, and again in float32 at each that could be a candidate.

What is stored for candidates, and which rows they are, is the same as if every row had been scored in float32, as long as the
rounding moves log odds by less than `margin`. That is measured twice: on made images when a scan begins, where the margin is a
multiple of the largest error, and on the rows that are scored both ways while it runs, where one error beyond half the margin
ends the sweep.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.networks.ensemble import EnsembleScores
from scanner.vocabulary.geometry import Geometry, Stamps

SAFETY = 4.0
"""Margin over the largest error of the images measured on."""
MIN_MARGIN = 0.05
"""In log odds: about what the published networks' logits move by (0.06 at most)."""
AUDIT_EVERY = 128
"""One row in so many is scored both ways whatever it looks like."""
MAX_AGAIN, MIN_SEEN = 0.4, 256
"""Where more than this share of the first so many rows had to be scored again, sweeping takes longer than it saves."""
N_MEASURED = 32
_SEED = 3
_TINY = 1e-30


class SweepError(LensscanError):
    """Fast and exact scores differ by more than the margin allows: what the sweep left out cannot be trusted."""


class ScoringEnsemble(Protocol):
    """What a scan needs of an ensemble."""

    @property
    def geometry(self) -> Geometry: ...
    @property
    def network_names(self) -> tuple[str, ...]: ...
    def score(self, stamps: Stamps) -> EnsembleScores: ...


@dataclass(frozen=True)
class Sweep:
    """The fast ensemble, what it is told, and how far it may be off."""

    ensemble: ScoringEnsemble
    precision: str
    """Of the fast ensemble."""
    candidate_threshold: float
    margin: float
    """In log odds of `p_lens`."""

    def to_score_again(self, places: NDArray[np.int64], p_lens: NDArray[np.float32]) -> NDArray[np.bool_]:
        """`[n]`: rows that could be candidates, and the few that watch over the errors."""
        could_be = log_odds(p_lens) >= log_odds(np.array(self.candidate_threshold)) - self.margin
        return could_be | (places % AUDIT_EVERY == 0)

    def check(self, fast: NDArray[np.float32], exact: NDArray[np.float32]) -> None:
        """Compare `p_lens` of rows scored both ways.

        Raises:
            SweepError: one differs by more than half the margin.
        """
        error = largest_error(fast, exact)
        if error > self.margin / 2:
            allowed = self.margin / 2
            raise SweepError(f"{self.precision} is off by {error:.3g} in log odds, at most {allowed:.3g} is allowed for")


def pays(n_seen: int, n_again: int) -> bool:
    """Is it worth while to go on sweeping, after `n_again` of `n_seen` rows had to be scored again?"""
    return n_seen < MIN_SEEN or n_again <= MAX_AGAIN * n_seen


def make_sweep(fast: ScoringEnsemble, precision: str, exact: ScoringEnsemble, candidate_threshold: float) -> Sweep:
    """A sweep whose margin is measured on made images."""
    stamps = made_stamps(exact.geometry, N_MEASURED)
    error = largest_error(fast.score(stamps).p_lens, exact.score(stamps).p_lens)
    return Sweep(fast, precision, candidate_threshold, max(SAFETY * error, MIN_MARGIN))


def log_odds(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """ln(p / (1 - p)), of probabilities no nearer to 0 or 1 than float32 resolves."""
    p = np.clip(np.asarray(p, np.float64), _TINY, 1 - 2.0**-24)
    return np.asarray(np.log(p) - np.log1p(-p))


def largest_error(fast: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Between two `[n]` of `p_lens`, in log odds; 0 for none."""
    return float(np.abs(log_odds(fast) - log_odds(exact)).max(initial=0))


def made_stamps(geometry: Geometry, n: int) -> Stamps:
    """Galaxies with a ring's worth of light about them, from faint to bright, in noise: nothing that needs a simulator."""
    rng = np.random.default_rng(_SEED)
    drawn = rng.uniform((0.3, 0.5, 0.6, 0.0), (1.2, 1.0, 2.5, 0.5), (n, 4))
    size, ellipticity, ring_radius, ring_share = drawn.T[:, :, None, None]
    peak = np.geomspace(2, 300, n)[:, None, None]
    stamps = {}
    for band, grid in geometry.grids.items():
        at = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
        radius = np.hypot(at[:, None], at[None, :] / ellipticity)
        ring = np.exp(-0.5 * ((radius - ring_radius) / 0.15) ** 2) * (1 + np.cos(np.arctan2(at[:, None], at[None, :]))) / 2
        light = peak * (np.exp(-radius / size) + ring_share * ring)
        stamps[band] = (light + rng.normal(size=light.shape)).astype(np.float32)
    return stamps
