"""Sweep: score every row with fast, rounded arithmetic, and score each possible candidate again in float32.

In a cascade, rounded arithmetic of the first stage chooses the rows that could pass, and the first stage in float32 decides
about those near the limit. The rows that pass are scored in the same way by the committee (`committee_sweep`): rounded first,
and the possible candidates among them in float32. The rounded early exit of a committee excludes rows only below its limit by
more than the margin.

The candidates and their stored values are the same as if every row had been scored in float32, as long as rounding changes the
log-odds by less than `margin`. Rounding is measured twice. When a scan begins, it is measured on synthetic images, and the
margin is a multiple of the largest error. While the scan runs, it is measured on the rows that are scored both ways, and one
error beyond half the margin ends the sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.networks.ensemble import EnsembleScores
from scanner.networks.log_odds import log_odds
from scanner.vocabulary.geometry import Geometry, Stamps

SAFETY = 4.0
"""Ratio of the margin to the largest error on the synthetic images."""
MIN_MARGIN = 0.05
"""Smallest margin, in log-odds: about the change of the published networks' logits (0.06 at most)."""
CASCADE_MARGIN = 0.8
"""Smallest margin of each stage of a cascade: the images that a margin is measured on are few, and the 2000 objects of a
simulated natural night were off by up to 0.25."""
AUDIT_EVERY = 256
"""One row in this number is scored both ways, whatever its score."""
MAX_RESCORED_SHARE, MIN_SEEN = 0.4, 256
"""Largest share of rows scored again, and rows after which it is checked: above it, the sweep costs more time than it saves."""
DECIDE_EVERY = 64
"""Rows between two checks, for batches of any size, so that scores do not depend on it; default batches end at each check."""
N_MEASURED = 32
_SEED = 3


class SweepError(LensscanError):
    """Fast and exact scores differ by more than the margin allows, so the sweep may have missed candidates."""


class ScoringEnsemble(Protocol):
    """Interface of an ensemble in a scan."""

    @property
    def geometry(self) -> Geometry: ...
    @property
    def network_names(self) -> tuple[str, ...]: ...
    def score(self, stamps: Stamps) -> EnsembleScores: ...


@dataclass(frozen=True)
class Sweep:
    """The fast ensemble, its precision, the candidates' threshold and the allowed error."""

    ensemble: ScoringEnsemble
    precision: str
    """Arithmetic of the fast ensemble, such as `bfloat16`."""
    candidate_threshold: float
    margin: float
    """Distance below the threshold, in log-odds of `p_lens`, down to which rows are scored again."""

    def needs_rescoring(self, rows: NDArray[np.int64], p_lens: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return a mask `[n]` of the rows that could be candidates, NaN too, and of the few that monitor the errors."""
        return ~(log_odds(p_lens) < log_odds(np.array(self.candidate_threshold)) - self.margin) | _is_audited(rows)

    def is_undecided(self, rows: NDArray[np.int64], p_lens: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return a mask `[n]` of the rows, among those of `needs_rescoring`, that may lie on either side of the threshold.

        The few that monitor the errors are among them.
        """
        return ~reaches(p_lens, self.candidate_threshold, self.margin) | _is_audited(rows)

    def check(self, fast: NDArray[np.float32], exact: NDArray[np.float32]) -> None:
        """Compare `p_lens`, `[n]`, of rows scored both ways.

        Raises:
            SweepError: the log-odds of a row differ by more than half the margin.
        """
        error = largest_error(fast, exact)
        if not error <= self.margin / 2:
            allowed = self.margin / 2
            raise SweepError(f"{self.precision} is off by {error:.3g} in log-odds, at most {allowed:.3g} is allowed")


def reaches(p_lens: NDArray[np.float32], limit: float, distance: float) -> NDArray[np.bool_]:
    """Return a mask `[n]` of the values that lie at least `distance`, in log-odds, above a limit; NaN does not."""
    return log_odds(p_lens) >= log_odds(np.array(limit)) + distance


def _is_audited(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    return rows % AUDIT_EVERY == 0


def is_worthwhile(n_seen: int, n_again: int) -> bool:
    """Return whether the sweep still saves time after `n_again` of `n_seen` rows had to be scored again."""
    return n_seen < MIN_SEEN or n_again <= MAX_RESCORED_SHARE * n_seen


class SweepCount:
    """Count of the rows of a sweep, and of those scored again, which tells after which row the sweep is given up."""

    def __init__(self) -> None:
        self.is_over = False
        self._n_seen = self._n_again = 0

    def add(self, chosen: NDArray[np.bool_]) -> int:
        """Count the next rows, of which `chosen` are scored again; return how many of them come before the sweep is over."""
        start = self._n_seen
        for end in range((start // DECIDE_EVERY + 1) * DECIDE_EVERY, start + len(chosen) + 1, DECIDE_EVERY):
            if not is_worthwhile(end, self._n_again + int(chosen[: end - start].sum())):
                self.is_over = True
                return end - start
        self._n_seen, self._n_again = start + len(chosen), self._n_again + int(chosen.sum())
        return len(chosen)


def make_sweep(
    fast: ScoringEnsemble,
    precision: str,
    exact: ScoringEnsemble,
    candidate_threshold: float,
    min_margin: float = MIN_MARGIN,
) -> Sweep:
    """Make a sweep whose margin is measured on synthetic images, and is at least `min_margin`."""
    stamps = synthetic_stamps(exact.geometry, N_MEASURED)
    error = largest_error(fast.score(stamps).p_lens, exact.score(stamps).p_lens)
    return Sweep(fast, precision, candidate_threshold, margin_of([error], min_margin))


def margin_of(errors: Sequence[float], min_margin: float) -> float:
    """Return the margin for some errors in log-odds; infinite, so that every row is scored again, if one is not a number."""
    return max(SAFETY * max(errors), min_margin) if np.isfinite(errors).all() else np.inf


def largest_error(fast: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Return the largest difference between two arrays `[n]` of `p_lens`, in log-odds; 0 for empty arrays."""
    return float(np.abs(log_odds(fast) - log_odds(exact)).max(initial=0))


def synthetic_stamps(geometry: Geometry, n: int) -> Stamps:
    """Make stamps, band to `[n, y, x]`, of galaxies with partial rings in noise, from faint to bright, without a simulator."""
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
