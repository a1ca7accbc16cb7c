"""Checks of the pixels of a night against a reference: sky level and noise, width of compact sources, zero points."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.catalogue.verdicts import Check
from scanner.quality.drift import LEAST_OBJECTS, Drift, Location, drift, median, quantile
from scanner.quality.limits import QualityLimits
from scanner.quality.measures import NightMeasures
from scanner.quality.objects import column

LEAST_READ_SHARE = 0.5
"""Smallest share of the sample that must be readable: whole tiles without pixels must not pass as too few objects."""
COMPACT_SHARE = 0.1
"""Quantile of the widths that stands for the PSF: below it lie stars, galaxies smaller than the PSF, and few artefacts."""
LEAST_SNR = 15.0
"""Smallest signal-to-noise ratio of objects whose widths and magnitudes count."""

_Numbers = NDArray[np.float64]


def pixel_checks(
    night: NightMeasures, reference: NightMeasures | None, bands: tuple[str, ...], limits: QualityLimits
) -> Iterator[Check]:
    """Yield the checks of the sample: whether it could be read, and with a reference its drifts, band by band."""
    read = night.n_sampled / night.n_chosen if night.n_chosen else 0.0
    text = f"{night.n_sampled} of {night.n_chosen} chosen objects could be read again (limit {LEAST_READ_SHARE:.0%})"
    is_good = read >= LEAST_READ_SHARE or not night.n_chosen
    yield Check(name="sample", value=read, limit=LEAST_READ_SHARE, is_good=is_good, text=text)
    if reference is None:
        return
    for band in bands:
        yield _sky_level(night, reference, band, limits.sky_level_sigma)
        yield _ratio("sky_noise", "the sky noise", night, reference, band, limits.sky_noise_ratio)
        yield _ratio("psf_width", "the width of compact sources", night, reference, band, limits.psf_width_ratio)
    yield from _zero_points(night, reference, bands, limits)


def _sky_level(night: NightMeasures, reference: NightMeasures, band: str, limit: float) -> Check:
    found = drift(*(median(found.values(column("level_sigma", band))) for found in (night, reference)))
    what = f"{band}: the sky level"
    if found is None:
        return _unknown("sky_level", band, limit, what)
    text = f"{what} has moved by {found.value:+.2f} sigma of a pixel (limit {limit:g})"
    return Check(name="sky_level", band=band, value=found.value, limit=limit, is_good=not found.exceeds(limit), text=text)


def _ratio(name: str, label: str, night: NightMeasures, reference: NightMeasures, band: str, limit: float) -> Check:
    location = _noise if name == "sky_noise" else _width
    found = drift(location(night, band), location(reference, band))
    what = f"{band}: {label}"
    if found is None:
        why = _no_zero_point(night, reference, (band,)) if name == "sky_noise" else None
        return _unknown(name, band, limit, what, why)
    ratio = math.exp(found.value)
    text = f"{what} is {ratio:.2f} of the reference (limit a factor {limit:g})"
    return Check(name=name, band=band, value=ratio, limit=limit, is_good=not found.exceeds(math.log(limit)), text=text)


def _noise(found: NightMeasures, band: str) -> Location | None:
    return median(_log(found.values(column("noise_ujy", band))))


def _width(found: NightMeasures, band: str) -> Location | None:
    widths = np.where(_is_bright(found, band), found.values(column("fwhm_arcsec", band)), np.nan)
    return quantile(_log(widths), COMPACT_SHARE)


def _log(values: _Numbers) -> _Numbers:
    return np.log(np.where(values > 0, values, np.nan))


def _is_bright(found: NightMeasures, band: str) -> NDArray[np.bool_]:
    return found.values(column("snr", band)) >= LEAST_SNR


def _zero_points(
    night: NightMeasures, reference: NightMeasures, bands: tuple[str, ...], limits: QualityLimits
) -> Iterator[Check]:
    """Compare each band with the others: one that has moved by itself moves all of its colours.

    The median of its colours says so, and the colours of the other bands among themselves do not move. The magnitudes of all
    bands together depend on the field as well, so they have a limit of their own. A band fails, too, if the night has lost a
    zero point that the reference has.
    """
    for band in bands:
        others = [other for other in bands if other != band]
        moves = [found for other in others if (found := _colour_drift(night, reference, band, other))]
        limit = limits.zero_point_mag
        what = f"{band}: the zero point"
        if not moves:
            is_lost = _lacks_zero_points(night, (band,)) and _has_zero_point(reference, band)
            why = _no_zero_point(night, reference, (band,)) or _no_zero_point(night, reference, others)
            yield _unknown("zero_point", band, limit, what, why, is_good=not is_lost)
            continue
        found = _middle(moves)
        text = f"{what} has moved by {found.value:+.2f} mag against the other bands (limit {limit:g})"
        yield Check(name="zero_point", band=band, value=found.value, limit=limit, is_good=not found.exceeds(limit), text=text)
    common = [found for band in bands if (found := drift(_magnitude(night, band), _magnitude(reference, band)))]
    limit = limits.common_zero_point_mag
    if not common:
        yield _unknown("common_zero_point", None, limit, "the magnitudes", _no_zero_point(night, reference, bands))
        return
    found = _middle(common)
    text = f"the magnitudes of all bands have moved by {found.value:+.2f} mag (limit {limit:g})"
    yield Check(name="common_zero_point", value=found.value, limit=limit, is_good=not found.exceeds(limit), text=text)


def _magnitude(found: NightMeasures, band: str) -> Location | None:
    return median(np.where(_is_bright(found, band), found.values(column("mag", band)), np.nan))


def _colour_drift(night: NightMeasures, reference: NightMeasures, band: str, other: str) -> Drift | None:
    def colour(found: NightMeasures) -> Location | None:
        is_bright = _is_bright(found, band) & _is_bright(found, other)
        difference: _Numbers = found.values(column("mag", band)) - found.values(column("mag", other))
        return median(np.where(is_bright, difference, np.nan))

    return drift(colour(night), colour(reference))


def _middle(moves: list[Drift]) -> Drift:
    """Return the median of some drifts, of an even number the mean of the middle two, with the largest of their errors."""
    return Drift(float(np.median([move.value for move in moves])), max(move.error for move in moves))


def _has_zero_point(found: NightMeasures, band: str) -> bool:
    """Return whether a zero point is known for an object: without one, a stamp has no noise in microjansky."""
    return bool(np.isfinite(found.values(column("noise_ujy", band))).any())


def _lacks_zero_points(found: NightMeasures, bands: Sequence[str]) -> bool:
    """Return whether there are enough objects, and none has a zero point in any of the bands."""
    return found.n_sampled >= LEAST_OBJECTS and not any(_has_zero_point(found, band) for band in bands)


def _no_zero_point(night: NightMeasures, reference: NightMeasures, bands: Sequence[str]) -> str | None:
    """Return the reason why bands cannot be compared if it is that no zero point is known for them; else None."""
    for label, found in (("the night", night), ("the reference", reference)):
        if _lacks_zero_points(found, bands):
            return f"no header of {label} states a zero point of {', '.join(bands)}"
    return None


def _unknown(name: str, band: str | None, limit: float, what: str, why: str | None = None, *, is_good: bool = True) -> Check:
    text = f"{what} is not measured: {why or 'too few objects'}"
    return Check(name=name, band=band, value=None, limit=limit, is_good=is_good, text=text)
