"""Compare the candidates of two scans, nights or catalogues: which came, which went, and whose score or place changed."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.store.files import one_line
from scanner.catalogue.query import query
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.visible import selected_plans
from scanner.catalogue.wanted import Wanted
from scanner.networks.log_odds import log_odds
from scanner.review.diff.elsewhere import ABSENT, SCHEMA, elsewhere
from scanner.review.diff.matching import RADIUS_ARCSEC, Objects, Pairs, matched, separations
from scanner.review.report.listed import first_rows

GAINED, LOST, MOVED, OUTSIDE_A, OUTSIDE_B = "gained", "lost", "moved", "outside a", "outside b"
CHANGES = (GAINED, LOST, MOVED, OUTSIDE_A, OUTSIDE_B)
"""An object about which a side has no row is outside it: its scan did not look there, so nothing is lost or gained."""
MOVED_BY = 1.0
"""Smallest change of ln(p/(1-p)) of a candidate that counts as moved: its odds change by a factor of e."""
_ABOUT_EITHER = {
    "change": ("", "gained, lost or moved, from a to b; outside a or outside b if that side has no row of the object"),
    "candidate_id": ("", "IAU-style name derived from the position"),
    "ra": ("deg", "Right ascension, ICRS"),
    "dec": ("deg", "Declination, ICRS"),
    "separation_arcsec": ("arcsec", "Distance of the positions in a and b"),
    "delta_log_odds": ("", "Change of ln(p_lens/(1-p_lens)) from a to b"),
}
_ABOUT_SIDE = {
    "p_lens": "Probability of a lens, also of an object that is no candidate",
    "rank": "Place among the candidates; null for an object that is no candidate",
    "status": "Outcome of the row; absent if there is none",
    "detail": "Reason for a rejection, changes made to the pixels, shifted bands",
    "subclass": "Most probable kind of lens",
    "object_id": "Identifier in the input catalogue",
    "tile": "Name of the survey tile or input shard",
    "night": "Night of the scan",
}


@dataclass(frozen=True)
class Side:
    """One of two lists of candidates that are compared."""

    root_uri: str
    wanted: Wanted
    name: str
    """Name for people."""
    rows: pa.Table
    """Candidates, each object once, best first, without maps."""
    plans: tuple[ShownPlan, ...]

    @classmethod
    def read(cls, root_uri: str, wanted: Wanted, name: str) -> Self:
        """Read the candidates of a side; `wanted.limit` has no effect.

        Raises:
            LensscanError: as `query`.
        """
        rows = query(root_uri, replace(wanted, limit=None))
        plans = selected_plans(root_uri, night=wanted.night, plan=wanted.plan, all_plans=wanted.all_plans)
        return cls(
            root_uri, wanted, one_line(name), rows.take(pa.array(first_rows(rows["object_id"].to_numpy()))), tuple(plans)
        )

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Smallest `p_lens` of the candidates of each plan, each once."""
        least = self.wanted.min_p_lens
        return tuple(sorted({shown.threshold for shown in self.plans})) if least is None else (least,)


@dataclass(frozen=True)
class Rules:
    """Rules of a comparison."""

    moved_by: float = MOVED_BY
    """Smallest change of ln(p/(1-p)) that counts as moved."""
    rank_moved_by: int | None = None
    """Smallest change of the place in the list that counts as moved, too; None for no such rule."""
    radius_arcsec: float = RADIUS_ARCSEC
    """Largest separation of an object's positions where its ids differ."""

    def are_moved(self, first: pa.Table, second: pa.Table, pairs: Pairs) -> NDArray[np.bool_]:
        """Return which pairs of candidates moved, `[pair]`."""
        change = _odds(second["p_lens"])[pairs.second] - _odds(first["p_lens"])[pairs.first]
        is_moved = np.abs(change) >= self.moved_by
        if self.rank_moved_by is not None:
            is_moved |= np.abs(pairs.second - pairs.first) >= self.rank_moved_by
        return np.asarray(is_moved)


@dataclass(frozen=True)
class Difference:
    """The candidates that two sides do not share, and those whose score has moved."""

    first: Side
    second: Side
    rules: Rules
    table: pa.Table
    """A row for each change, by falling `p_lens` of the better side."""
    n_same: int
    """Number of candidates of both sides that did not move."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of changes of each kind."""
        found = self.table["change"].to_pylist()
        return {change: found.count(change) for change in CHANGES}


def difference(first: Side, second: Side, rules: Rules) -> Difference:
    """Compare an old list with a new one.

    Raises:
        VisibleError: a unit file cannot be read.
        StorageError: the store failed.
    """
    a, b = Objects.of(first.rows), Objects.of(second.rows)
    pairs = matched(a, b, rules.radius_arcsec)
    is_moved = rules.are_moved(first.rows, second.rows, pairs)
    lost, gained = np.setdiff1d(np.arange(len(a)), pairs.first), np.setdiff1d(np.arange(len(b)), pairs.second)
    not_in_b = elsewhere(second.root_uri, second.plans, a.take(lost), rules.radius_arcsec, b.ids[pairs.second])
    not_in_a = elsewhere(first.root_uri, first.plans, b.take(gained), rules.radius_arcsec, a.ids[pairs.first])
    of_a = [_candidates(first, pairs.first[is_moved]), _candidates(first, lost), _without_rank(not_in_a)]
    of_b = [_candidates(second, pairs.second[is_moved]), _without_rank(not_in_b), _candidates(second, gained)]
    went = [OUTSIDE_B if status == ABSENT else LOST for status in not_in_b["status"].to_pylist()]
    came = [OUTSIDE_A if status == ABSENT else GAINED for status in not_in_a["status"].to_pylist()]
    names = [MOVED] * int(is_moved.sum()) + went + came
    table = _changes(names, pa.concat_tables(of_a), pa.concat_tables(of_b))
    return Difference(first, second, rules, _best_first(table), int((~is_moved).sum()))


def _candidates(side: Side, numbers: NDArray[np.int64]) -> pa.Table:
    """Return some candidates of a side with their places in its list."""
    rows = side.rows.select(SCHEMA.names).take(pa.array(numbers)).cast(SCHEMA)
    return rows.append_column("rank", pa.array(numbers + 1, pa.int64()))


def _without_rank(rows: pa.Table) -> pa.Table:
    return rows.append_column("rank", pa.nulls(rows.num_rows, pa.int64()))


def _changes(names: list[str], a: pa.Table, b: pa.Table) -> pa.Table:
    """Put the sides of all changes beside each other."""
    apart = separations(Objects.of(a), Objects.of(b))
    change = _odds(b["p_lens"]) - _odds(a["p_lens"])
    either = {
        "change": pa.array(names, pa.string()),
        **{name: pc.coalesce(b[name], a[name]) for name in ("candidate_id", "ra", "dec")},
        "separation_arcsec": pa.array(apart, mask=~np.isfinite(apart)),
        "delta_log_odds": pa.array(change, mask=~np.isfinite(change)),
    }
    columns, fields = [], []
    for name, (unit, about) in _ABOUT_EITHER.items():
        columns.append(either[name])
        fields.append(pa.field(name, columns[-1].type, metadata={"unit": unit, "description": about}))
    for name, about in _ABOUT_SIDE.items():
        for side, rows in (("a", a), ("b", b)):
            columns.append(rows[name])
            fields.append(pa.field(f"{name}_{side}", rows[name].type, metadata={"description": f"{about}, in {side}"}))
    return pa.table(columns, schema=pa.schema(fields))


def _best_first(table: pa.Table) -> pa.Table:
    best = pc.max_element_wise(table["p_lens_a"], table["p_lens_b"])
    object_id = pc.coalesce(table["object_id_b"], table["object_id_a"])
    keys = pa.table({"p_lens": best, "object_id": object_id})
    return table.take(pc.sort_indices(keys, [("p_lens", "descending"), ("object_id", "ascending")]))


def _odds(p_lens: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return ln(p/(1-p)); NaN for null."""
    p = p_lens.cast(pa.float64()).to_numpy()
    return np.where(np.isnan(p), np.nan, log_odds(np.nan_to_num(p)))
