"""The probability of a lens of graded objects before the votes: their p_lens in the catalogue."""

from collections.abc import Collection, Iterable
from datetime import date

import pyarrow as pa

from scanner.catalogue.paths import UNDATED
from scanner.catalogue.query import query
from scanner.catalogue.shown import shown_plans
from scanner.catalogue.wanted import Wanted

UNKNOWN_PRIOR = 0.5
"""Probability for an object that no complete scan of the catalogue has scored: the votes alone say what it is."""


def priors(root_uri: str, object_ids: Collection[int]) -> dict[int, float]:
    """Return the p_lens of the objects that readers of the catalogue see, of the newest night that scored each.

    Objects that are no candidates of the newest night are searched in all rows, which reads some columns of all unit files: a
    later night may have scored a candidate of an older night below its threshold.

    Raises:
        LensscanError: a file of the catalogue is damaged, or the store failed.
    """
    nights = [label for label, plans in shown_plans(root_uri).items() if plans]
    if not object_ids or not nights:
        return {}
    wanted = set(object_ids)
    newest = max(nights, key=lambda label: (label != UNDATED, label))
    found = _newest(query(root_uri, Wanted(night=newest)), wanted)
    if missing := wanted - found.keys():
        ids = ", ".join(str(int(object_id)) for object_id in sorted(missing))
        rows = f"SELECT object_id, p_lens, night FROM scores WHERE p_lens IS NOT NULL AND object_id IN ({ids})"  # noqa: S608
        found |= _newest(query(root_uri, sql=rows), missing)
    return found


def _newest(rows: pa.Table, wanted: Collection[int]) -> dict[int, float]:
    names = ("night", "object_id", "p_lens")
    cells: Iterable[tuple[str | date | None, int, float]] = zip(*(rows[name].to_pylist() for name in names), strict=True)
    by_night = sorted((str(night or ""), object_id, p_lens) for night, object_id, p_lens in cells if object_id in wanted)
    return {object_id: p_lens for _, object_id, p_lens in by_night}
