"""An evaluation as Markdown, for people."""

from collections.abc import Iterable, Mapping, Sequence

from scanner.purity import Cut, ValueWithInterval
from training.evaluation.evaluate import RATES, Evaluation, Group
from training.evaluation.matched_rates import MATCHED_RATES, MatchedRecall
from training.evaluation.metrics import N_BOOTSTRAP
from training.evaluation.score_correlation import ScoreCorrelation

_NAMES = {
    "auroc": "AUROC",
    "tpr_at_0_false_positives": "lenses found before the first false positive (TPR0)",
    "tpr_at_10_false_positives": "lenses found before the eleventh false positive (TPR10)",
    "f_beta_max": "largest F 0.03 of any threshold",
    "precision_at_half": "precision at p = 0.5",
    "recall_at_half": "recall at p = 0.5",
    "accuracy_at_half": "accuracy at p = 0.5",
    "f_beta_at_half": "F 0.03 at p = 0.5",
    "calibration_error": "expected calibration error, this mixture",
    "calibration_error_floor": "calibration error of lenses drawn with probability p_lens, mean and 95 % range",
    "calibration_error_at_prevalence": "expected calibration error, weighted to the assumed prevalence",
    "inspected_per_lens_at_0.5": "objects to inspect per lens where half of the lenses are found, at the assumed prevalence",
    "inspected_per_lens_at_0.75": "objects to inspect per lens where three quarters of the lenses are found",
    "inspected_per_lens_at_0.5_by_sample": (
        "objects to inspect per lens where half of the lenses are found, by the card's sample of non-lenses"
    ),
    "inspected_per_lens_at_0.75_by_sample": (
        "objects to inspect per lens where three quarters of the lenses are found, by the sample"
    ),
    "recall_blue_minus_red": f"recall of blue minus red sources at {RATES[-1]:.0%} false positives, arcs of equal magnitude",
    "auroc_compound": "AUROC of p_compound, compound lenses against all else",
    "auroc_compound_among_lenses": "AUROC of p_compound / p_lens, compound against single lenses",
}

_HOW = f"""\
Brackets hold 95 % intervals:

- recall of a kind or property, false positives of a look-alike, recall of a cut: Wilson's interval of a fraction, at a fixed
  threshold; objects to inspect per lens: from those of recall and false positives; recall of blue minus red: from the variances
  of both;
- TPR0 and TPR10: few non-lenses, drawn by chance, set these thresholds. The threshold that lets ten through in a typical sample
  of this size may be the score of any from the 5th to the 19th non-lens here; the threshold that lets none through, of any down
  to the 4th. The interval spans the recalls there, each widened by Wilson's interval. No sample shows how far above the highest
  non-lens the next one would score: the lower limit of TPR0 is unknown, and given as 0;
- calibration errors: bootstrap, mirrored at the value because noise only raises these errors. Mirroring removes a part of the
  noise only: for comparison, the error of lenses drawn with probability p_lens is due to noise alone;
- all others: percentiles of {N_BOOTSTRAP} bootstrap resamples of lenses and of non-lenses.

"At p = 0.5" means after p_lens is restated for the share of lenses in these objects, if p_lens is calibrated."""
_OTHERS = (
    "Non-lenses of {} set the thresholds of TPR0, TPR10 and every recall at a false-positive rate, and the objects to inspect "
    "per lens."
)
_SHARES = "For lenses this is recall, for look-alikes the false positives."
_CANDIDATES = " Candidates: share at or above the ensemble's default cut, which loses the other lenses of the group."
_ONLY_SCORED = "all other figures count scored objects only, although a rejected lens is a missed lens."
_MIXTURE = (
    "Non-lenses are mixed as above: on the sky far fewer of them are look-alikes, so that candidates should be purer and fewer."
)
_EXPECTED = (
    "Purity and candidates range from the worst to the best that the intervals of recall and of the false positives allow. "
    "Expected purity is the mean p_lens of the candidates; outside the interval of the purity, p_lens is likely off. "
    "The calibration error at this prevalence cannot show this: a constant p_lens = 0 would score the prevalence itself, {:g}."
)
_CUT_COLUMNS = ("p_lens at least", "false positives", "recall", "purity", "expected purity", "candidates to inspect")


def evaluation_markdown(evaluation: Evaluation, ensemble: str, data: str, thresholds_from: str | None = None) -> str:
    """Return the text of EVALUATION.md.

    Args:
        evaluation: Results of the evaluation.
        ensemble: Name and digest of the evaluated ensemble.
        data: Origin of the objects.
        thresholds_from: Origin of the objects whose non-lenses set the thresholds; None: the same objects.
    """
    rates = " and ".join(f"{rate:.0%}" for rate in RATES)
    has_cut = any(group.kept for group in evaluation.groups)
    of_others = f" of {thresholds_from}" if thresholds_from else ""
    sections = [
        f"# {ensemble}, evaluated",
        f"On {data}. Scored: {_counts(evaluation.n_objects)}. Rejected: {_counts(evaluation.n_rejected)}; {_ONLY_SCORED}",
        _HOW,
        *([_OTHERS.format(thresholds_from)] if thresholds_from else []),
        _table(
            ("all objects", ""),
            ([_NAMES.get(name, name.replace("_", " ")), shown(m)] for name, m in evaluation.overall.items()),
        ),
        _table(("network", "AUROC"), ([_network(name, evaluation), shown(m)] for name, m in evaluation.networks.items())),
        *_matched_section(evaluation.matched),
        *_correlation_section(evaluation.correlations),
        "## Share above the threshold, by property",
        f"Thresholds that {rates} of all non-lenses{of_others} exceed. {_SHARES}{_CANDIDATES * has_cut}",
        _groups_table(evaluation.groups, has_cut=has_cut),
    ]
    if evaluation.cuts:
        sections += [
            "## Expected results of a cut",
            f"Numbers for a million objects with a fraction {evaluation.prevalence:g} of lenses. {_MIXTURE}",
            _EXPECTED.format(evaluation.prevalence),
            cuts_table(evaluation.cuts),
        ]
    # Evaluations of earlier versions have neither matched rates nor the plot at natural prevalence.
    has_natural = evaluation.prevalence is not None and bool(evaluation.matched)
    natural = "![Reliability at the assumed prevalence](reliability_log.png) " * has_natural
    sections += [f"![ROC](roc.png) ![Reliability](reliability.png) {natural}![Completeness](completeness.png)"]
    return "\n\n".join(sections) + "\n"


def matched_table(matched: Sequence[MatchedRecall]) -> str:
    """Return a table of the recall of each kind at each false-positive rate; a dash where there are too few non-lenses."""
    rates = [rate for rate in MATCHED_RATES if any(of.rate == rate for of in matched)]
    cells = {(of.kind, of.rate): _matched(of) for of in matched}
    kinds = dict.fromkeys(of.kind for of in matched)
    header = ("recall", *(f"at {rate:g}" for rate in rates))
    return _table(header, ([kind, *(cells[kind, rate] for rate in rates)] for kind in kinds))


def nonlenses_in_words(matched: Sequence[MatchedRecall]) -> str:
    """Return the number of non-lenses that set the thresholds, as `100000 non-lenses (at 0.01: 10000 others)`."""
    by_rate = {of.rate: of.n_nonlenses for of in matched}
    most = max(by_rate.values())
    fewer = "; ".join(f"at {rate:g}: {n} others" for rate, n in by_rate.items() if n != most)
    return f"{most} non-lenses ({fewer})" if fewer else f"{most} non-lenses"


def _matched(of: MatchedRecall) -> str:
    return f"- (needs {of.n_needed} non-lenses)" if of.recall is None else shown(of.recall)


def _matched_section(matched: Sequence[MatchedRecall]) -> list[str]:
    if not matched:
        return []
    words = f"Recall where these shares of {nonlenses_in_words(matched)} pass; intervals as for TPR10."
    return ["## Recall at matched false-positive rates", words, matched_table(matched)]


def _correlation_section(correlations: Sequence[ScoreCorrelation]) -> list[str]:
    if not correlations:
        return []
    words = (
        "Spearman's rank correlation of the networks' scores, over the objects that both looked at, with its 95 % interval "
        "(Fisher's z, Bonett & Wright 2000). Networks that err on the same non-lenses gain little together."
    )
    rows = (
        [" and ".join(of.networks), shown(of.lenses), str(of.n_lenses), shown(of.nonlenses), str(of.n_nonlenses)]
        for of in correlations
    )
    header = ("networks", "of lenses", "lenses", "of non-lenses", "non-lenses")
    return ["## Correlation of the networks", words, _table(header, rows)]


def cuts_table(cuts: Sequence[Cut]) -> str:
    """Return a table of purity, recall and number of candidates of each cut; recall of a natural mix too, if it is known."""
    has_natural = any(cut.natural_recall for cut in cuts)
    rows = ([*_cut(cut), *([shown(cut.natural_recall)] * has_natural)] for cut in cuts)
    return _table((*_CUT_COLUMNS, *(["recall, compound lenses rare as on the sky"] * has_natural)), rows)


def _groups_table(groups: Sequence[Group], *, has_cut: bool) -> str:
    header = ("property", "group", "objects", *(f"at {rate:.0%}" for rate in RATES), *(["candidates"] * has_cut))
    rows = ([g.property, g.group, str(g.n), *map(shown, g.above), *([shown(g.kept)] * has_cut)] for g in groups)
    return _table(header, rows)


def _cut(cut: Cut) -> list[str]:
    numbers = [
        shown(cut.recall),
        shown(cut.purity),
        _number(cut.expected_purity),
        shown(cut.to_inspect_per_million),
    ]
    return [f"{cut.p_lens:g}", str(cut.n_false_positives), *numbers]


def _network(name: str, evaluation: Evaluation) -> str:
    """Return the name, with the number of objects that the first stage let through to a network of the committee."""
    return f"{name}, {evaluation.n_seen[name]} objects that the first stage passed" if name in evaluation.n_seen else name


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in numbers.items() if n) or "none"


def shown(measured: ValueWithInterval | None) -> str:
    """Return a number with its interval, as `0.951 (0.940 to 0.960)`; a dash for None."""
    if measured is None:
        return "-"
    return f"{_number(measured.value)} ({_number(measured.low)} to {_number(measured.high)})"


def _number(value: float | None) -> str:
    """Format a number as an integer, to three decimals, or to two digits if small: 1234, 0.123, 0.00012."""
    if value is None:
        return "-"
    if abs(value) >= 10:
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2g}"


def _table(header: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
