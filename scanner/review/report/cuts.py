"""Compare the lists above some cuts in `p_lens` with what the evaluation of the ensemble foretells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scanner.catalogue.shown import ShownPlan
from scanner.purity import PurityTable, ValueWithInterval
from scanner.vocabulary.prior import one_in, rounded


@dataclass(frozen=True)
class CutLine:
    """The list of all objects at or above a cut."""

    p_lens: float
    n_found: int
    n_expected: str
    purity: str
    n_lenses: str


@dataclass(frozen=True)
class Cuts:
    """Lists above the evaluated cuts of an ensemble."""

    prevalence: str
    """Number of objects among which one is a lens."""
    lines: tuple[CutLine, ...]


def common_purity(plans: Iterable[ShownPlan]) -> PurityTable | None:
    """Return the expected purity of the ensembles of all plans; None if it differs or is unknown."""
    tables = {shown.purity for shown in plans}
    (table,) = tables if len(tables) == 1 else (None,)
    return table


def cuts_of(purity: PurityTable, n_at_cuts: Mapping[float, int], n_scored: int) -> Cuts:
    """Return a line for each cut of the table.

    Args:
        purity: Expected purity of the ensemble.
        n_at_cuts: Number of rows at or above each cut.
        n_scored: Number of scored rows.
    """
    lines = []
    for cut in purity.cuts:
        expected = purity.expected(cut.p_lens, n_scored)
        lines.append(
            CutLine(
                cut.p_lens,
                n_at_cuts[cut.p_lens],
                _interval(expected.n_candidates),
                percent_interval(expected.purity.value, expected.purity.low, expected.purity.high),
                _interval(expected.n_lenses),
            )
        )
    return Cuts(one_in(purity.prevalence), tuple(lines))


def percent_interval(value: float, low: float | None, high: float | None) -> str:
    """Return a fraction in percent, with its limits if there are any: `46 % (19-76 %)` with a dash between them."""
    text = f"{rounded(100 * value)} %"
    if low is None or high is None:
        return text
    return f"{text} ({rounded(100 * low)}\u2013{rounded(100 * high)} %)"


def _interval(found: ValueWithInterval) -> str:
    return f"{rounded(found.value)} ({rounded(found.low)}\u2013{rounded(found.high)})"
