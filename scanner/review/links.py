"""Links to services on the web that show a place on the sky; a page fetches nothing from them."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

FIELD_DEG = 0.01
"""Side of the field that a service shows first."""
EUCLID_SURVEY = "CDS/P/Euclid/Q1/color"
"""Identifier of the image survey (HiPS) of Euclid's first release, in colour."""


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
