"""Values among which options of commands, parameters of flows and fields of data sets choose, and limits that they share."""

from typing import Literal

GeometryName = Literal["challenge", "mer", "mer10"]
"""Names of the geometries in `scanner.vocabulary.geometry`."""
PopulationPreset = Literal["euclid", "broad", "any_host", "wilde2022"]
"""`euclid` follows the forecast of Collett (2015) and is for real images; `broad` has the lenses and look-alikes that this
forecast makes rare, and `any_host` lenses with the light of any galaxy, both for training beside it; `wilde2022` is the paper's
section 2.2."""
TrainingPreset = Literal["candidates", "committee", "first_stage", "flagship", "kind", "laptop", "paper"]
"""Names of the configurations in `training.config.PRESETS`."""
CutName = Literal["list", "deep"]
"""Cuts of an ensemble: `list` has as many candidates as a team can look at, `deep` loses few lenses."""
MAPS_PER_UNIT, MOST_MAPS_PER_UNIT = 100, 1000
"""Default and largest number of candidates with maps: each takes 73 kB, and its stamps 0.2 MB until the unit is scanned."""
MATCH_RADIUS_ARCSEC, MOST_MATCH_RADIUS_ARCSEC = 1.0, 60.0
"""Default and largest distance of a source from its target; beyond it, the source is another object."""
