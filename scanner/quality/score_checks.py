"""Checks of the scores of a night: drift of their histogram, and injected lenses that the night finds."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scanner.catalogue.verdicts import Check
from scanner.completeness import fraction
from scanner.quality.limits import QualityLimits
from scanner.quality.measures import NightMeasures
from scanner.stability import stability

MOST_CHANCE = 1e-4
"""Probability of a stability index by chance above which it is no drift, however large: small nights have large indices."""


class Recovery(NamedTuple):
    """Injected lenses of a night, and how many of them it finds."""

    n_injected: int
    n_recovered: int
    is_of_another: bool = False
    """Whether they were injected into another scan of the night, so that this one's are unknown."""


def score_checks(night: NightMeasures, reference: NightMeasures | None, limits: QualityLimits) -> Iterator[Check]:
    """Yield the check of the scores against those of a night that the same ensemble scored."""
    name, limit = "score_drift", limits.score_stability
    if reference is None:
        return
    if reference.ensemble_sha256 != night.ensemble_sha256:
        text = "score drift is not measured: another ensemble scored the reference"
        yield Check(name=name, value=None, limit=limit, is_good=True, text=text)
    elif sum(night.log_odds) and sum(reference.log_odds):
        found = stability(np.array(reference.log_odds), np.array(night.log_odds))
        is_small, is_chance = found.value <= limit, found.p_chance > MOST_CHANCE
        said = f"the stability index of the scores is {found.value:.2g} (limit {limit:g})"
        if not is_small and is_chance:
            text = f"{said}, as chance may give for so few objects ({found.expected:.2g} on average)"
        else:
            text = f"{said}, {found.expected:.2g} by chance" if found.value > 0 else f"{said}, no change"
        is_good = is_small or is_chance
        yield Check(name=name, value=found.value, limit=limit, is_good=is_good, text=text)


def recovery_checks(night: Recovery | None, reference: Recovery | None, limits: QualityLimits) -> Iterator[Check]:
    """Yield the checks of injected lenses; none if no lenses were injected into the night.

    The upper limit of the 95 % interval counts, so that few lenses are no reason to fail.
    """
    if night is not None and night.is_of_another:
        text = "recovery is not measured: the night's injected lenses belong to another scan of it, or cannot be read"
        yield Check(name="recovered", value=None, limit=limits.recovered_share, is_good=True, text=text)
        return
    if night is None or not night.n_injected:
        return
    share = fraction(night.n_recovered, night.n_injected)
    limit = limits.recovered_share
    text = f"{share} of {night.n_injected} injected lenses are found (limit {limit:.0%})"
    yield Check(name="recovered", value=share.value, limit=limit, is_good=share.high >= limit, text=text)
    if reference is not None and reference.n_injected:
        before = fraction(reference.n_recovered, reference.n_injected)
        limit = limits.recovered_share_drop
        text = f"{share} of the injected lenses are found, {before} in the reference (limit of the drop {limit:.0%})"
        is_good = before.low - share.high <= limit
        yield Check(name="recovered_drift", value=before.value - share.value, limit=limit, is_good=is_good, text=text)
