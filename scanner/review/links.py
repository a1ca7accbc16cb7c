"""Links to services on the web that show a place on the sky; a page fetches nothing from them."""

from dataclasses import dataclass
from itertools import starmap
from urllib.parse import quote, urlencode

import pyarrow as pa

FIELD_DEG = 0.01
"""Side of the field that a service shows first."""
EUCLID_SURVEY = "CDS/P/Euclid/Q1/color"
"""Identifier of the image survey (HiPS) of Euclid's first release, in colour."""
EUCLID_PREFIX = "EUCL "
"""Beginning of the names of Euclid's candidates."""
LINK_COLUMNS = ("aladin", "esasky")
"""Columns of `with_links`, in the order of `links_to`."""


@dataclass(frozen=True)
class Link:
    """A link with its name."""

    name: str
    url: str


def links_to(ra_deg: float | None, dec_deg: float | None, *, is_euclid: bool) -> tuple[Link, ...]:
    """Return links for a position; none without one.

    Args:
        ra_deg: Right ascension.
        dec_deg: Declination.
        is_euclid: Whether Aladin Lite begins with the images of Euclid, or else with its own choice.
    """
    if ra_deg is None or dec_deg is None:
        return ()
    place = {"target": f"{ra_deg:.6f} {dec_deg:.6f}", "fov": f"{FIELD_DEG:g}"}
    survey = {"survey": EUCLID_SURVEY} if is_euclid else {}
    return (
        Link("Aladin Lite", "https://aladin.cds.unistra.fr/AladinLite/?" + urlencode({**place, **survey}, quote_via=quote)),
        Link("ESASky", "https://sky.esa.int/esasky/?" + urlencode({**place, "cooframe": "J2000"}, quote_via=quote)),
    )


def is_of_euclid(candidate_id: str | None) -> bool:
    """Return whether a candidate has a name of Euclid's."""
    return (candidate_id or "").startswith(EUCLID_PREFIX)


def with_links(rows: pa.Table) -> pa.Table:
    """Return candidates with a column of addresses for each service; null in a row without a position."""
    places = zip(*(rows[name].to_pylist() for name in ("ra", "dec", "candidate_id")), strict=True)
    links = list(starmap(_addresses, places))
    for i, name in enumerate(LINK_COLUMNS):
        rows = rows.append_column(name, pa.array([found[i] for found in links], pa.string()))
    return rows


def _addresses(ra_deg: float | None, dec_deg: float | None, name: str | None) -> tuple[str | None, ...]:
    links = links_to(ra_deg, dec_deg, is_euclid=is_of_euclid(name))
    return tuple(link.url for link in links) or (None,) * len(LINK_COLUMNS)
