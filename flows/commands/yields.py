"""`lensscan yield` and `--fdr`: what lists of candidates are worth, in words, and the list with a guarantee."""

from collections.abc import Iterator, Sequence

from infra.progress import Progress
from infra.settings import Settings
from scanner.purity import ValueWithInterval
from scanner.review.yields.guarantee import sample_for
from scanner.review.yields.lists import Content
from scanner.review.yields.night import NightYield, YieldError, expected_lists, list_with_guarantee, read_night
from scanner.vocabulary.prior import grouped, one_in, rounded


def yield_of_night(root_uri: str, night: str | None, cuts: Sequence[float], progress: Progress) -> NightYield:
    """Return what lists of a night should hold; arguments and errors as for `read_night` and `expected_lists`."""
    return expected_lists(read_night(root_uri, night, progress), cuts)


def least_p_lens(root_uri: str, night: str | None, level: float) -> tuple[float, str | None]:
    """Return the smallest `p_lens` of the list of a night whose false discovery rate is held at a level, and a warning.

    The warning is a line that says that `p_lens` is not calibrated for the survey of the night; None where it is.

    Raises:
        YieldError: no list has the guarantee, or the ensemble or its calibration sample is not at hand.
    """
    scores = read_night(root_uri, night)
    found = list_with_guarantee(scores, sample_for(scores, Settings.read().ensembles_dir), level)
    if found.least_p_lens is None:
        raise YieldError(f"no list of this night can hold a false discovery rate of {level:g}")
    return found.least_p_lens, scores.warning


def promise_in_words(level: float) -> str:
    """Say what a list with a guarantee promises."""
    return (
        f"On average over nights, at most {level:.3g} of such a list are no lenses, if the night's non-lenses are like the "
        "simulated ones of the calibration sample."
    )


def rows_of(found: NightYield, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return a row of texts for each list, with these columns."""
    return [dict(zip(columns, _cells(found, number), strict=True)) for number in range(len(found.lists))]


def sentences_of(found: NightYield) -> Iterator[str]:
    """Yield what the table assumes, what the night tells of its prevalence, and where its length is a surprise."""
    fraction = found.estimated.fraction
    n = ValueWithInterval(**{end: getattr(fraction, end) * found.n_scored for end in ("value", "low", "high")})
    mix = "compound lenses are as rare as on the sky" if found.has_natural_mix else "lenses are of the mix that was evaluated"
    yield f"Lenses are counted as if one object in {one_in(found.stated_prevalence)} is a lens, and {mix}."
    if found.estimated.is_above_zero:
        yield (
            f"The scores of this night tell {_interval(n)} lenses among its rows, one object in {one_in(fraction.value)}, if "
            "p_lens is calibrated for its objects and kinds of lens."
        )
    else:
        yield (
            f"The scores of this night cannot tell the number of its lenses from zero: at most {_number(n.high)}, if p_lens is "
            "calibrated for its objects and kinds of lens."
        )
    odd = [of for of in found.lists if not of.n_foreseen.low <= of.n_listed <= of.n_foreseen.high]
    if odd:
        cuts = ", ".join(f"{of.p_lens:g}" for of in odd)
        yield (
            f"At p_lens {cuts} the list is not as long as the evaluation foretells: its objects are of another mixture. The "
            "number of lenses does not depend on this, but an estimated prevalence does."
        )


def _cells(found: NightYield, number: int) -> tuple[str, ...]:
    of = found.lists[number]
    stated, estimated = of.at_stated, of.at_estimated
    return (
        f"{of.p_lens:g}",
        str(of.n_listed),
        f"{_number(of.n_foreseen.low)}-{_number(of.n_foreseen.high)}",
        _interval(stated.n_lenses),
        _interval(stated.n_contaminants),
        _per_lens(stated),
        _interval(estimated.n_lenses),
        _per_lens(estimated),
    )


def _interval(found: ValueWithInterval) -> str:
    return f"{_number(found.value)} ({_number(found.low)}-{_number(found.high)})"


def _per_lens(content: Content) -> str:
    if content.inspected_per_lens is None:
        return "-"
    most = "no limit" if content.inspected_per_lens_high is None else _number(content.inspected_per_lens_high)
    return f"{_number(content.inspected_per_lens)} ({_number(content.inspected_per_lens_low)}-{most})"


def _number(value: float) -> str:
    """Return a number without a fraction from 10 on, else to two digits: a list and its parts must add up."""
    return grouped(round(value)) if value >= 10 else rounded(value)
