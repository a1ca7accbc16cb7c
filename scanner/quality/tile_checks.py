"""Checks of the tiles of a night: bands that are missing, pixels that are blank, rows without scores, numbers of objects."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from scanner.catalogue.verdicts import Check
from scanner.quality.counts import UnitCounts
from scanner.quality.drift import SIGNIFICANT
from scanner.quality.limits import QualityLimits
from scanner.quality.measures import NightMeasures
from scanner.vocabulary.rejections import RejectCode

_BLANK = (RejectCode.BLANK, RejectCode.CONSTANT)
_BLANK_SHARE = 0.9
"""Share of a tile's rows whose pixels are blank, above which the tile is: a mask covers less of it."""
_LEAST_ROWS = 20
"""Smallest number of rows of a tile that may be blank or damaged: with a selection of few sources, one rejected object is
most of its tile, and says nothing about it."""
_MOST_NAMED = 5


def tile_checks(night: NightMeasures, reference: NightMeasures | None, limits: QualityLimits) -> Iterator[Check]:
    """Yield the checks of tiles and of rows without a score."""
    lacking = sorted(night.lacking)
    bands = Counter(band for absent in night.lacking.values() for band in absent)
    of_bands = ", ".join(f"{band} in {n}" for band, n in bands.items())
    of_bands = f"a band ({of_bands})" if of_bands else "a band"
    yield _named("missing_bands", lacking, limits.tiles_missing_band, "lacks", "lack", of_bands)
    rest = {name: unit for name, unit in night.units.items() if name not in night.lacking and unit.n_rows >= _LEAST_ROWS}
    blank = [name for name, unit in rest.items() if _n_blank(unit) > _BLANK_SHARE * unit.n_rows]
    yield _named("blank_tiles", blank, limits.blank_tiles, "holds", "hold", "nothing but zeros or one value")
    damaged = [name for name, unit in rest.items() if not unit.n_scored and name not in blank]
    yield _named("damaged_tiles", damaged, limits.damaged_tiles, "has", "have", "no scored object for another reason")
    yield from _reject_checks(night, reference, limits)
    yield from _count_checks(night, reference, limits)


def _named(name: str, tiles: Sequence[str], limit: int, verb: str, plural: str, what: str) -> Check:
    names = ", ".join(tiles[:_MOST_NAMED]) + (f" and {len(tiles) - _MOST_NAMED} more" if len(tiles) > _MOST_NAMED else "")
    which = f"1 tile {verb}" if len(tiles) == 1 else f"{len(tiles)} tiles {plural}"
    text = f"{which} {what}{f': {names}' if names else ''} (limit {limit})"
    return Check(name=name, value=len(tiles), limit=limit, is_good=len(tiles) <= limit, text=text)


def _n_blank(unit: UnitCounts) -> int:
    return sum(unit.by_status.get(f"rejected:{code}", 0) for code in _BLANK)


def _reject_checks(night: NightMeasures, reference: NightMeasures | None, limits: QualityLimits) -> Iterator[Check]:
    n, share = _reject_share(night)
    text = f"{share:.1%} of {n} rows have no score (limit {limits.reject_share:.1%})"
    yield Check(
        name="reject_share", value=share, limit=limits.reject_share, is_good=not n or share <= limits.reject_share, text=text
    )
    if reference is None:
        return
    n_before, before = _reject_share(reference)
    if n and n_before:
        # Both shares with the error of a binomial fraction; half a row keeps the error above zero.
        error = math.hypot(*(math.sqrt((s + 0.5 / m) * (1 - s + 0.5 / m) / m) for s, m in ((share, n), (before, n_before))))
        rise, limit = share - before, limits.reject_share_drift
        text = f"{share:.1%} of the rows have no score, {before:.1%} in the reference (limit of the rise {limit:.1%})"
        is_good = rise - SIGNIFICANT * error <= limit
        yield Check(name="reject_share_drift", value=rise, limit=limit, is_good=is_good, text=text)


def _reject_share(night: NightMeasures) -> tuple[int, float]:
    n = sum(unit.n_rows for unit in night.units.values())
    return n, 1 - sum(unit.n_scored for unit in night.units.values()) / n if n else 0.0


def _count_checks(night: NightMeasures, reference: NightMeasures | None, limits: QualityLimits) -> Iterator[Check]:
    """Compare the median number of objects of a tile; Poisson noise and a cluster move it by far less than the limit."""
    if reference is None:
        return
    now, before = (float(np.median(list(found.catalogue_rows.values()))) for found in (night, reference))
    ratio = max((now + 1) / (before + 1), (before + 1) / (now + 1))
    text = f"{now:g} objects in the median tile, {before:g} in the reference (limit a factor {limits.counts_ratio:g})"
    is_good = ratio <= limits.counts_ratio
    yield Check(name="objects_per_tile", value=ratio, limit=limits.counts_ratio, is_good=is_good, text=text)
