"""The candidates that a caller wants of a catalogue: from which plans, under which conditions, and how many."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scanner.catalogue.selection import Circle

NONE_MEETS = "no candidate meets these conditions"
"""Text of an error where the conditions leave no candidate."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Conditions that a candidate must meet, all of those that are given, and the number of candidates, best first."""

    min_p_lens: float | None = None
    """Smallest `p_lens`; None for that of the candidates. Rows below it come from the unit files."""
    night: str | None = None
    """Night of the candidates, YYYY-MM-DD, or `undated`; None for all nights."""
    subclass: str | None = None
    circle: Circle | None = None
    """Circle on the sky in which they lie; None for all, also those without a position."""
    limit: int | None = None
    """Largest number of rows; None for all."""
    plan: str | None = None
    """First characters of a plan id: the rows of this plan alone."""
    all_plans: bool = False
    """The rows of every plan, so that an object comes once for each plan that holds it."""

    @property
    def has_conditions(self) -> bool:
        """Whether it leaves out candidates of the plans that are read."""
        return any(given is not None for given in (self.min_p_lens, self.night, self.subclass, self.circle))

    def rows(self, keys: pa.Table) -> NDArray[np.int64]:
        """Return the numbers of the rows that are wanted of one night, whose rows have `columns` and are sorted best first."""
        is_wanted = np.ones(keys.num_rows, bool)
        if self.min_p_lens is not None:
            is_wanted &= keys["p_lens"].to_numpy().astype(np.float64) >= self.min_p_lens
        if self.subclass is not None:
            is_wanted &= pc.equal(keys["subclass"], self.subclass).to_numpy()
        if self.circle is not None:
            is_wanted &= self.circle.contains(*(keys[name].to_numpy() for name in ("ra", "dec")))
        return np.flatnonzero(is_wanted)

    @property
    def columns(self) -> list[str]:
        """Columns that `rows` needs of every row."""
        more = [*(["subclass"] if self.subclass is not None else []), *(["ra", "dec"] if self.circle is not None else [])]
        return ["p_lens", "object_id", *more]


EVERY_CANDIDATE = Wanted()
