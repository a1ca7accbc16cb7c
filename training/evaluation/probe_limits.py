"""Limits of the bias probes: how far a change of one thing may move the scores of the same objects, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Limit:
    """Largest accepted effect of one change; None: not limited."""

    reason: str
    most_fall: float | None = None
    """Largest fall of the log-odds of a lens, the median of the changes lens by lens."""
    most_rise: float | None = None
    """Largest rise, likewise, for changes that say nothing about a lens."""
    most_lost: float | None = None
    """Largest rise of the share of lenses below the candidates' threshold."""
    most_gained: float | None = None
    """Largest rise of the share of non-lenses at or above it."""


def _nuisance(reason: str, most: float, lost: float = 0.05) -> Limit:
    return Limit(reason, most, most, lost, 0.05)


_COLOUR = Limit(
    "VIS - H of simulated sources scatters by 1 mag; the shape of an arc must outweigh half of that in a band", 1.0, None, 0.1
)
_TILT = Limit("VIS - H of simulated sources scatters by 1 mag: a likely colour is no reason against a lens", 1.0, None, 0.1)
_SED = Limit("the colours of one whole class of sources; half as much again as a tilt by 1 mag may cost", 1.5, None, 0.15)
_SHAPE = Limit("axis ratios of simulated deflectors range from 0.4 to 0.96 (90 %): both values are common", 0.5, None, 0.05)
_LENS_COLOUR = Limit("VIS - H of simulated deflectors scatters by 0.6 mag, mostly with their redshift", 1.0, None, 0.1)
_PSF_ANGLE = _nuisance("the telescope's orientation says nothing about a lens", 0.2, 0.03)
_PSF_WIDTH = Limit("four times the scatter of widths over the survey; arcs blur, but none vanishes", 0.7, 0.7, 0.1, 0.05)
_PLACE = "simulated catalogues are off by 0.08 arcsec (median) to 0.33 (95 %); the object is the same"
_SKY = _nuisance("backgrounds left in Q1 range from 0 to 0.5 sigma", 0.3)

LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        **{f"source 0.5 mag {way} in {band}": _COLOUR for band in ("VIS", "Y", "J", "H") for way in ("brighter", "fainter")},
        "source redder by 1 mag in VIS - H": _TILT,
        "source bluer by 1 mag in VIS - H": _TILT,
        "red source": _SED,
        "blue source": _SED,
        "source 1 mag brighter": Limit("a brighter arc is never a reason against a lens", 0.0, None, 0.0),
        "source 1 mag fainter": Limit("the arc's S/N falls to 0.4: evidence is lost, and some arcs vanish", 2.5, None, 0.3),
        "Einstein radius x 0.75": Limit("arcs move into the galaxy's light, and the least resolved vanish", 2.0, None, 0.25),
        "Einstein radius x 1.5": Limit("a larger ring is easier to see; only rarity speaks against it", 1.0, None, 0.1),
        "deflector with axis ratio 0.6": _SHAPE,
        "deflector with axis ratio 0.95": _SHAPE,
        "deflector redder by 0.5 mag in VIS - H": _LENS_COLOUR,
        "deflector bluer by 0.5 mag in VIS - H": _LENS_COLOUR,
        "deflector 1 mag brighter": Limit("the ratio of arc to lens falls to 0.4, the arc's own light stays", 1.5, None, 0.2),
        "deflector 1 mag fainter": Limit("arcs stand out more; only rarity is against a faint deflector", 1.0, None, 0.05),
        "1 galaxy inside": Limit(
            "a quarter of simulated deflectors are in groups; a galaxy may hide part of an arc", 0.7, None, 0.1
        ),
        "3 galaxies inside": Limit("as in the gate of the counterfactuals: a crowded ring is a ring", 1.0, None, 0.15),
        "PSF turned by 45 deg": _PSF_ANGLE,
        "PSF turned by 90 deg": _PSF_ANGLE,
        "PSF 20 % narrower": _PSF_WIDTH,
        "PSF 20 % wider": _PSF_WIDTH,
        "hot pixel": _nuisance("one pixel of 100 sigma is no light of the sky", 0.3),
        "bright star in the field": _nuisance("a star of 18 mag 3 to 4.5 arcsec away hides no arc", 0.5),
        "0.1 arcsec off the centre": _nuisance(_PLACE, 0.2, 0.03),
        "0.3 arcsec off the centre": _nuisance(_PLACE, 0.3),
        "0.5 arcsec off the centre": _nuisance(f"{_PLACE}; 0.5 is the 99th percentile", 0.5),
        "sky 0.5 sigma higher": _SKY,
        "sky 0.5 sigma lower": _SKY,
        "noise x 1.5": Limit("S/N falls to two thirds, as in 44 % of the exposure time", 1.5, None, 0.2, 0.05),
        "turned by 90 deg": _nuisance("the sky has no orientation; the turn of the pixels is exact", 0.2, 0.03),
        "turned by 37 deg": _nuisance("the same; noise and pixels do not turn along", 0.3),
    }
)
"""Limit of each probe that changes what the networks see; a band that is shifted or missing must be noticed instead."""

LEAST_NOTICED: Mapping[str, float] = MappingProxyType(
    {
        "one band shifted by 0.3 arcsec": 0.6,
        "one band shifted by 1 arcsec": 0.7,
        "one band shifted by 3 arcsec": 0.7,
    }
)
"""Smallest share of lenses whose row says that a band is shifted."""
REASON_OF_NOTICED = (
    "up to one lens in five has too little light in a band for the check to be certain; 0.3 arcsec is just beyond the 0.25 "
    "that it allows"
)
MOST_FALSE_ALARMS = 0.01
"""Largest share of rows, of lenses and of non-lenses, that say so although no band is shifted."""
REASON_OF_FALSE_ALARMS = "none among 43 500 simulated objects; one in a hundred would make the note useless"
LEAST_STATED = 1.0
"""Smallest share of rows that say so if a band is blank or missing: each must, or be rejected."""
