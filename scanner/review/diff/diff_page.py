"""The page of a comparison: each change with the pictures and maps of both sides, beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from scanner.review.diff.changes import CHANGES, Difference, Side
from scanner.review.diff.elsewhere import ABSENT
from scanner.review.report.card import Card, card_of
from scanner.review.report.page import page
from scanner.review.report.pictures import Pictures, pictures_of
from scanner.review.report.provenance import PlanFacts, plan_facts
from scanner.review.stored_pixels import stored_pixels
from scanner.vocabulary.probability_text import probability_text

TOP = 200
"""Number of changes that a page shows by default: at most 20 MB of pictures."""
_SORTS = {"p_lens": "p_lens", "change": "change of log-odds", "ra": "RA", "dec": "Dec", "name": "name"}


@dataclass(frozen=True)
class Half:
    """One side of a change."""

    letter: str
    card: Card | None
    """The candidate; None for an object that is no candidate there."""
    p_lens: str
    rank: str
    why: str
    """Why it is no candidate; empty for a candidate."""


@dataclass(frozen=True)
class PairCard:
    """A change as the page shows it."""

    number: int
    name: str
    change: str
    change_of_odds: str
    kinds: tuple[str, ...]
    halves: tuple[Half, Half]
    keys: dict[str, float | str | None]
    searched: str


def diff_html(found: Difference, top: int = TOP, made_at: datetime | None = None) -> str:
    """Return the page of the first `top` changes.

    Raises:
        VisibleError: a file is damaged.
        StorageError: the store failed.
    """
    rows = found.table.slice(0, top)
    sides = {"a": found.first, "b": found.second}
    facts = {letter: [plan_facts(side.root_uri, shown) for shown in side.plans] for letter, side in sides.items()}
    cards = {letter: _cards(side, rows[f"rank_{letter}"], facts[letter]) for letter, side in sides.items()}
    pairs = [
        _pair(i + 1, row, tuple(_half(letter, row, cards[letter].get(row[f"rank_{letter}"]), sides[letter]) for letter in "ab"))
        for i, row in enumerate(rows.to_pylist())
    ]
    return page(
        "diff.html.j2",
        found=found,
        sides=sides,
        facts=facts,
        pairs=pairs,
        counts=found.counts,
        n_changes=found.table.num_rows,
        sorts=_SORTS,
        changes=CHANGES,
        made_at=made_at or datetime.now(UTC),
    )


def _cards(side: Side, ranks: pa.ChunkedArray, facts: Sequence[PlanFacts]) -> dict[int, Card]:
    """Return the cards of those candidates of a side whose places in its list are given."""
    places = [rank for rank in ranks.to_pylist() if rank is not None]
    rows = side.rows.take(pa.array([rank - 1 for rank in places], pa.int64()))
    pictures: dict[int, Pictures] = {i: pictures_of(pixels) for i, pixels in stored_pixels(side.root_uri, rows)}
    euclid = {plan.plan_id for plan in facts if plan.is_euclid}
    return {
        rank: card_of(rank, row, rows.schema, pictures=pictures.get(i), is_euclid=row["plan_id"] in euclid)
        for i, (rank, row) in enumerate(zip(places, rows.to_pylist(), strict=True))
    }


def _half(letter: str, row: Mapping[str, Any], card: Card | None, side: Side) -> Half:
    p_lens, rank = row[f"p_lens_{letter}"], row[f"rank_{letter}"]
    text = "" if p_lens is None else probability_text(p_lens, 4)
    if rank is not None:
        return Half(letter, card, text, str(rank), "")
    status, detail = row[f"status_{letter}"], row[f"detail_{letter}"]
    if status == ABSENT:
        why = "no row is about this object"
    elif p_lens is not None:
        least = ", ".join(f"{threshold:g}" for threshold in side.thresholds)
        why = f"no candidate: p_lens is below {least}, or a condition leaves it out"
    else:
        why = f"{status}: {detail}" if detail else str(status)
    return Half(letter, None, text, "", why)


def _pair(number: int, row: Mapping[str, Any], halves: tuple[Half, ...]) -> PairCard:
    first, second = halves
    object_id = row["object_id_a"] if row["object_id_b"] is None else row["object_id_b"]
    change = row["delta_log_odds"]
    kinds = tuple(dict.fromkeys(half.card.kind for half in halves if half.card and half.card.kind))
    name = str(row["candidate_id"] or f"object {object_id}")
    ids = {str(row[f"object_id_{letter}"] or "") for letter in "ab"}
    tiles = {str(row[f"tile_{letter}"] or "") for letter in "ab"}
    best = max((p for p in (row["p_lens_a"], row["p_lens_b"]) if p is not None), default=None)
    return PairCard(
        number,
        name,
        row["change"],
        "" if change is None else f"{change:+.2f}".replace("-", "\u2212"),
        kinds,
        (first, second),
        {"p_lens": best, "change": None if change is None else abs(change), "ra": row["ra"], "dec": row["dec"], "name": name},
        " ".join([name, *sorted(ids), *sorted(tiles), *kinds, row["change"]]).lower(),
    )
