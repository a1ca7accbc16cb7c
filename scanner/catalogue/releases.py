"""Public data releases by name: the prefixes of their mosaics and of their catalogues."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ReleaseName = Literal["q1"]


@dataclass(frozen=True)
class Release:
    """Location of a release."""

    mosaics_uri: str
    catalogues_uri: str


RELEASES: Mapping[ReleaseName, Release] = MappingProxyType(
    {
        # Euclid Quick Release 1 (2025) at IRSA; other instruments and products lie beside these two prefixes.
        "q1": Release("s3://nasa-irsa-euclid-q1/q1/MER", "s3://nasa-irsa-euclid-q1/q1/catalogs/MER_FINAL_CATALOG"),
    }
)
