"""Read the scores of a night, and foretell what its lists hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from scanner.catalogue.calibration import calibration_warning
from scanner.catalogue.outcomes import SCORED
from scanner.catalogue.seal import load_seal
from scanner.catalogue.visible import plans_by_night
from scanner.networks.nonlens_sample import NonLensTail
from scanner.purity import PurityTable
from scanner.review.all_rows import all_rows
from scanner.review.yields.conformal import GuaranteedList, guaranteed_list
from scanner.review.yields.lists import NightList, counts_at, night_list
from scanner.review.yields.prevalence import NightPrevalence, night_prevalence, with_natural_kinds


class YieldError(LensscanError):
    """Nothing can be foretold of the lists of a night, or no list has the guarantee; the message says why."""


@dataclass(frozen=True)
class NightScores:
    """The scores of all rows of a night that readers see."""

    night: str
    """Label of the night: YYYY-MM-DD, or `undated`."""
    p_lens: NDArray[np.float32]
    """`[scored row]`, in no order."""
    threshold: float
    """Smallest `p_lens` of its candidates."""
    full_from: float
    """Smallest `p_lens` from which on all plans of the night scored every row in full: the largest of their thresholds."""
    ensemble_name: str
    ensemble_sha256: str
    purity: PurityTable | None
    """Evaluation of the ensemble, as it was when the night was shown; None where unknown."""
    p_compound: NDArray[np.float32] | None = None
    """`[scored row]`, in the order of `p_lens`; None if the ensemble gives none."""
    warning: str | None = None
    """Line that says that `p_lens` is not calibrated for the survey of the night; None where it is."""

    @property
    def p_natural(self) -> NDArray[np.floating]:
        """`p_lens` with compound lenses as rare as on the sky, `[scored row]`; `p_lens` itself if the evaluation lacks that."""
        purity = self.purity
        if purity is None or purity.compound_shares is None or self.p_compound is None or not purity.knows_natural:
            return self.p_lens
        return with_natural_kinds(self.p_lens, self.p_compound, *purity.compound_shares)


class NightYield(Frozen):
    """Expected content of the lists of a night."""

    night: str
    ensemble: str
    n_scored: int
    stated_prevalence: float
    """Fraction of lenses that `p_lens` assumes."""
    has_natural_mix: bool
    """Whether the evaluation knows what share of lenses is found if compound ones are as rare as `p_compound` assumes."""
    estimated: NightPrevalence
    lists: tuple[NightList, ...]
    """One list for each cut, the lowest first."""
    warning: str | None = None
    """Line that says that `p_lens` is not calibrated for the survey of the night; None where it is."""


def read_night(root_uri: str, night: str | None = None, progress: Progress = no_progress) -> NightScores:
    """Read the scores of all rows of a night, each object once.

    Args:
        root_uri: The catalogue's root.
        night: Label of the night; None if the catalogue has one night.
        progress: Called with (units read, units in all).

    Raises:
        YieldError: there are several nights and none is named, several ensembles scored the night, or no row is scored.
        VisibleError: no scan is complete, or a file cannot be read.
        StorageError: the store failed.
    """
    by_night = plans_by_night(root_uri, night)
    if len(by_night) > 1:
        raise YieldError(
            f"{root_uri}: holds the nights {', '.join(sorted(by_night))}; choose one with --night (Python: night=)"
        )
    ((label, plans),) = by_night.items()
    seals = [load_seal(root_uri, shown.plan_id) for shown in plans]
    ensembles = {(seal.ensemble_name, seal.ensemble_sha256) for seal in seals if seal is not None}
    if len(ensembles) != 1:
        names = ", ".join(sorted(f"{name} ({sha256[:8]})" for name, sha256 in ensembles)) or "none"
        raise YieldError(f"{root_uri}: one ensemble must have scored all rows of a night, got {names}")
    ((name, sha256),) = ensembles
    tables = all_rows(root_uri, plans, ("status", "p_lens", "p_compound"), progress)
    found = [_scored(table) for table in tables]
    p_lens, p_compound = np.concatenate([np.empty((2, 0), np.float32), *found], axis=1)
    if not len(p_lens):
        raise YieldError(f"{root_uri}: no row of night {label} is scored")
    thresholds = [shown.threshold for shown in plans]
    compound = None if np.isnan(p_compound).any() else p_compound
    warning = calibration_warning(root_uri, (shown.plan_id for shown in plans))
    return NightScores(label, p_lens, min(thresholds), max(thresholds), name, sha256, plans[0].purity, compound, warning)


def _scored(table: pa.Table) -> NDArray[np.float32]:
    """Return `p_lens` and `p_compound`, `[2, scored row]`, of rows with these columns; NaN where the second is null."""
    scored = table.filter(pc.equal(table["status"], SCORED))
    columns = (scored[name].cast(pa.float32()).fill_null(float("nan")).to_numpy() for name in ("p_lens", "p_compound"))
    return np.stack(list(columns))


def expected_lists(scores: NightScores, cuts: Sequence[float] = ()) -> NightYield:
    """Return what lists of a night should hold.

    Args:
        scores: The scores of the night.
        cuts: Thresholds of `p_lens`; by default that of the night's candidates, and the higher ones of the evaluation.

    Raises:
        YieldError: the ensemble was not evaluated, or a cut is lower than the evaluation reaches.
    """
    purity = scores.purity
    if purity is None:
        raise YieldError(
            f"{scores.ensemble_name}: its lists were not evaluated when night {scores.night} was scanned; run "
            "`lensscan evaluate` on the ensemble, then the same `lensscan scan` again, which keeps all scores"
        )
    lowest = purity.cuts[0].p_lens
    if low := [cut for cut in cuts if not lowest <= cut <= 1]:
        raise YieldError(f"cut must lie between the lowest evaluated cut, {lowest:g}, and 1, got {low[0]:g}")
    default = {cut.p_lens for cut in purity.cuts if cut.p_lens >= scores.threshold} | {max(scores.threshold, lowest)}
    chosen = sorted(set(cuts) or default)
    n_scored = len(scores.p_lens)
    estimated = night_prevalence(scores.p_natural, purity.prevalence)
    lists = [
        night_list(cut, n_listed, n_scored, purity, estimated.fraction)
        for cut, n_listed in zip(chosen, counts_at(scores.p_lens, chosen), strict=True)
    ]
    return NightYield(
        night=scores.night,
        ensemble=scores.ensemble_name,
        n_scored=n_scored,
        stated_prevalence=purity.prevalence,
        has_natural_mix=purity.knows_natural,
        estimated=estimated,
        lists=tuple(lists),
        warning=scores.warning,
    )


def list_with_guarantee(scores: NightScores, tail: NonLensTail | None, level: float) -> GuaranteedList:
    """Return the list of a night whose false discovery rate is held at a level.

    Raises:
        YieldError: the ensemble has no calibration sample, or no list of this night has the guarantee.
    """
    if not 0 < level < 1:
        raise YieldError(f"fdr must lie between 0 and 1, both excluded, got {level:g}")
    if tail is None:
        raise YieldError(
            f"{scores.ensemble_name}: has no sample of scored non-lenses, which fdr needs; "
            "`lensscan models nonlenses` makes one"
        )
    # Rows below the threshold of their plan may have been scored by the first stage alone, or in reduced precision.
    candidates = scores.p_lens[scores.p_lens.astype(np.float64) >= scores.full_from]
    found = guaranteed_list(candidates, len(scores.p_lens), tail, level)
    if not found.n_listed:
        raise YieldError(_why_none(found))
    return found.model_copy(update={"warning": scores.warning})


def _why_none(found: GuaranteedList) -> str:
    """Say why no list holds the level, and what would help."""
    reason = (
        f"no list of this night can hold a false discovery rate of {found.level:g}: with {found.n_calibration} non-lenses in "
        f"the ensemble's sample and {found.n_tests} scored rows, the shortest list has {_rows(found.needed_beyond)} with a "
        f"higher p_lens than every non-lens of the sample, and this night has {_rows(found.n_beyond)} of this kind"
    )
    larger = (
        f"for a list of {_rows(max(found.n_beyond, 1))}, the sample needs {found.needed_calibration} non-lenses, all of them "
        "with a lower p_lens than each row of the list (`lensscan models nonlenses --n`)"
    )
    lowest = (
        f"the lowest level with a list is {found.lowest_level:.3g} ({_rows(found.n_listed_at_lowest)})"
        if found.lowest_level is not None
        else "no level below 1 has a list"
    )
    return f"{reason}; {larger}; {lowest}"


def _rows(n: int) -> str:
    return f"{n} row{'' if n == 1 else 's'}"
