"""A channel of a network's input, as cards name it: a band on a scale. `channels.py` computes its pixels."""

from typing import Literal

from pydantic import field_validator

from infra.frozen import Frozen
from scanner.vocabulary.bands import EUCLID

Scaling = Literal["min_max", "sky_asinh", "centre_asinh", "detail"]


class Channel(Frozen):
    """One band on one scale."""

    band: str
    scaling: Scaling

    @field_validator("band")
    @classmethod
    def _known_band(cls, value: str) -> str:
        if value not in EUCLID:
            raise ValueError(f"band must be one of {list(EUCLID)}, got {value!r}")
        return value


def channels(scaling: Scaling, *bands: str) -> tuple[Channel, ...]:
    """Return channels of these bands, in that order, all on one scale."""
    return tuple(Channel(band=band, scaling=scaling) for band in bands)
