"""Choose a list of candidates whose false discovery rate is held at a level, from scores of objects that are known to be none.

An object's conformal p-value is the rank of its score among those of a calibration sample of non-lenses. If the non-lenses of
the night are exchangeable with the sample, it is a valid p-value, and the procedure of Benjamini & Hochberg (1995) over all
scored objects of a night holds the expected share of non-lenses in the list at the level (Bates et al. 2023, theorem 2;
Jin & Candes 2023). Large scores make small p-values, so that the list is all objects from some score on.
"""

import numpy as np
from numpy.typing import NDArray

from infra.frozen import Frozen
from scanner.networks.nonlens_sample import NonLensTail


class GuaranteedList(Frozen):
    """The list of a night at a level of the false discovery rate; without a list, what one would need."""

    level: float
    n_tests: int
    """Number of scored objects of the night, each of which is a test."""
    n_calibration: int
    n_listed: int
    """Number of objects of the list; 0 if no list holds the level."""
    least_p_lens: float | None
    """Smallest `p_lens` of the list; None without a list."""
    lowest_level: float | None
    """Lowest level at which this night has a list; None if there is none at any level below 1."""
    n_listed_at_lowest: int
    n_beyond: int
    """Number of objects that score above every object of the calibration sample."""
    warning: str | None = None
    """Line that says that `p_lens` is not calibrated for the survey of the night; None where it is."""

    @property
    def needed_beyond(self) -> int:
        """Number of objects that must score above the whole calibration sample for a list made of these alone."""
        return int(np.ceil(self.n_tests / (self.level * (1 + self.n_calibration)) * (1 - 1e-12)))

    @property
    def needed_calibration(self) -> int:
        """Number of calibration objects for which the objects beyond the sample would make a list, if they stay beyond it."""
        return max(0, int(np.ceil(self.n_tests / (self.level * max(self.n_beyond, 1)) * (1 - 1e-12))) - 1)


def guaranteed_list(p_lens: NDArray[np.floating], n_tests: int, tail: NonLensTail, level: float) -> GuaranteedList:
    """Return the list that the procedure of Benjamini & Hochberg chooses.

    Args:
        p_lens: `[object]`: scores of the night from some score on, or of all its objects. Those that are left out count as
            tests with the p-value 1, which changes no list that lies above them, and makes others shorter.
        n_tests: Number of scored objects of the night.
        tail: Calibration sample.
        level: Largest expected share of non-lenses in the list.

    Raises:
        ValueError: `level` is not between 0 and 1, or there are fewer tests than scores.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, both excluded, got {level:g}")
    if n_tests < len(p_lens):
        raise ValueError(f"n_tests must be at least the number of scores, {len(p_lens)}, got {n_tests}")
    scores = np.sort(np.asarray(p_lens, np.float64))[::-1]
    found = tail.p_values(scores)
    # Rows with one score have one p-value, so the last of them stands for all.
    ratios = n_tests * found / np.arange(1, len(scores) + 1)
    passing = np.flatnonzero(ratios <= level * (1 + 1e-12))
    n_listed = int(passing[-1]) + 1 if len(passing) else 0
    lowest = int(np.argmin(ratios)) if len(ratios) else 0
    has_lowest = bool(len(ratios)) and ratios[lowest] < 1
    return GuaranteedList(
        level=level,
        n_tests=n_tests,
        n_calibration=tail.n,
        n_listed=n_listed,
        least_p_lens=float(scores[n_listed - 1]) if n_listed else None,
        lowest_level=float(ratios[lowest]) if has_lowest else None,
        n_listed_at_lowest=int(np.flatnonzero(ratios <= ratios[lowest])[-1]) + 1 if has_lowest else 0,
        n_beyond=int(np.sum(found <= 1 / (1 + tail.n))),
    )
