"""The texts of one candidate on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.coordinates import Angle

from scanner.catalogue.columns import KNOWN_COLUMNS, PURITY_COLUMNS, RANK
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.review.links import Link, links_to
from scanner.review.report.alike import AlikeObject
from scanner.review.report.cuts import percent_interval
from scanner.review.report.pictures import Pictures
from scanner.vocabulary.probability_text import probability_text

_PIXELS = frozenset(column.name for column in MAP_COLUMNS)
_NUMBERS = (
    "p_lens",
    "p_compound",
    "disagreement",
    "anomaly",
    "arc_snr_vis",
    "ra",
    "dec",
    "known_separation_arcsec",
    "p_graded",
    "n_votes",
)
"""Columns that people sort by."""
_KNOWN_NAME, _KNOWN_SEPARATION, _KNOWN_GRADE, _KNOWN_REFERENCE = (column.name for column in KNOWN_COLUMNS)


@dataclass(frozen=True)
class Known:
    """A known lens near the candidate."""

    name: str
    separation: str
    grade: str
    reference: str


@dataclass(frozen=True)
class Detail:
    """A column of the row."""

    name: str
    text: str
    unit: str


@dataclass(frozen=True)
class Card:
    """A candidate as the page shows it; every text may come from a stranger's file."""

    number: int
    """Place in the list of the page, from 1."""
    object_id: str
    name: str
    kind: str
    """Its `subclass`."""
    kind_text: str
    p_lens: str
    p_compound: str
    purity: str
    rank: str
    nights: tuple[str, ...]
    tile: str
    position: str
    """RA and Dec in degrees, as other programs read it."""
    sexagesimal: str
    """The same in hours, degrees, minutes and seconds."""
    known: Known | None
    grade: str
    graded: str
    """How the grade came about; empty without votes."""
    links: tuple[Link, ...]
    pictures: Pictures | None
    details: tuple[Detail, ...]
    keys: dict[str, float | str | None]
    """Values to sort by."""
    anomaly: str = ""
    alike: tuple[AlikeObject, ...] = ()
    """Objects that the networks see most like it; empty for all but the best candidates."""

    @property
    def searched(self) -> str:
        """Text that a search looks through, in lower case."""
        known = (self.known.name, self.known.reference) if self.known else ()
        parts = (self.name, self.object_id, self.kind_text, self.tile, *self.nights, self.grade, *known)
        return " ".join(part for part in parts if part).lower()


def card_of(
    number: int,
    row: Mapping[str, Any],
    schema: pa.Schema,
    *,
    nights: Sequence[str] = (),
    pictures: Pictures | None = None,
    is_euclid: bool = False,
    alike: tuple[AlikeObject, ...] = (),
) -> Card:
    """Return the texts for a row without its maps.

    Args:
        number: Place in the list, from 1.
        row: Value of each column.
        schema: Schema of the rows, whose fields say units and meanings.
        nights: Nights in which the object is a candidate.
        pictures: Its pictures; None for a candidate without stored maps.
        is_euclid: Whether the images are Euclid's.
        alike: Objects that are most like it.
    """
    ra, dec = _finite(row.get("ra")), _finite(row.get("dec"))
    return Card(
        number,
        str(row["object_id"]),
        str(row.get("candidate_id") or f"object {row['object_id']}"),
        str(row.get("subclass") or ""),
        kind_text(row.get("subclass")),
        _probability(row.get("p_lens")),
        _probability(row.get("p_compound")),
        _purity(row),
        "" if row.get(RANK.name) is None else str(row[RANK.name]),
        tuple(night for night in nights if night),
        str(row.get("tile") or ""),
        "" if ra is None or dec is None else f"{ra:.5f} {dec:+.5f}",
        "" if ra is None or dec is None else _sexagesimal(ra, dec),
        _known(row),
        str(row.get("grade") or ""),
        _graded(row),
        links_to(ra, dec, is_euclid=is_euclid),
        pictures,
        tuple(_detail(field, row[field.name]) for field in schema if _is_shown(field, row.get(field.name))),
        {
            "number": number,
            "name": str(row.get("candidate_id") or ""),
            "purity": _finite(row.get(PURITY_COLUMNS[0].name)),
            **{k: row.get(k) or None for k in ("grade", "night", "subclass", "tile")},
            **{k: _finite(row.get(k)) for k in _NUMBERS},
        },
        "" if _finite(row.get("anomaly")) is None else f"{row['anomaly']:.2f}",
        alike,
    )


def kind_text(subclass: Any) -> str:
    """Return a subclass in words."""
    return str(subclass or "").replace("nonlens", "no lens").replace("_", " ")


def _probability(p: Any) -> str:
    return "" if _finite(p) is None else probability_text(float(p), 4).replace(" ", "\u2009")


def _purity(row: Mapping[str, Any]) -> str:
    value, low, high = (_finite(row.get(column.name)) for column in PURITY_COLUMNS)
    return "" if value is None else percent_interval(value, low, high)


def _sexagesimal(ra_deg: float, dec_deg: float) -> str:
    # What is written to 0.01 s must be below 24 h.
    ra = Angle(round(ra_deg * 240, 2) % 86400 / 240, "deg").to_string("hour", sep=":", precision=2, pad=True)
    return f"{ra} {Angle(dec_deg, 'deg').to_string(sep=':', precision=1, pad=True, alwayssign=True)}"


def _known(row: Mapping[str, Any]) -> Known | None:
    separation = _finite(row.get(_KNOWN_SEPARATION))
    if separation is None:
        return None
    texts = (str(row.get(name) or "") for name in (_KNOWN_NAME, _KNOWN_GRADE, _KNOWN_REFERENCE))
    name, grade, reference = texts
    return Known(name or "without a name", f"{separation:.2f}\u2033", grade, reference)


def _graded(row: Mapping[str, Any]) -> str:
    parts = []
    if n := _finite(row.get("n_votes")):
        parts.append(f"{n:.0f} vote{'' if n == 1 else 's'}")
    if (p := _finite(row.get("p_graded"))) is not None:
        parts.append(f"lens with probability {probability_text(p)}")
    return ", ".join(parts)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _is_shown(field: pa.Field, value: Any) -> bool:
    return value is not None and value != "" and field.name not in _PIXELS


def _detail(field: pa.Field, value: Any) -> Detail:
    return Detail(field.name, _text(value), (field.metadata or {}).get(b"unit", b"").decode())


def meanings_of(schema: pa.Schema) -> dict[str, str]:
    """Return the description of each column that has one and is shown."""
    texts = {field.name: (field.metadata or {}).get(b"description", b"").decode() for field in schema}
    return {name: text for name, text in texts.items() if text and name not in _PIXELS}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}" if abs(value) >= 1e3 else f"{value:.6g}"
    return str(value)
