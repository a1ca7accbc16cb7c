"""An evaluation for people: Markdown."""

from collections.abc import Iterable

from training.evaluate import RATES, Cut, Evaluation, Measured

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
    "calibration_error_at_prevalence": "expected calibration error, weighted to the assumed prevalence",
    "recall_blue_minus_red": f"recall of blue less red sources at {RATES[-1]:.0%} false positives, arcs of equal magnitude",
    "auroc_compound": "AUROC of p_compound, compound lenses against all else",
    "auroc_compound_among_lenses": "AUROC of p_compound / p_lens, compound against single lenses",
}


_HOW = (
    "Brackets: 95 % intervals, bootstrap (Wilson's for fractions). At p = 0.5 means after p_lens is restated for the share of "
    "lenses in these objects, where it is calibrated."
)
_MIXTURE = (
    "Non-lenses are mixed as above: on the sky far fewer of them are look-alikes, so that candidates should be purer and fewer."
)


def evaluation_markdown(evaluation: Evaluation, ensemble: str, data: str) -> str:
    """EVALUATION.md.

    Args:
        evaluation: The figures.
        ensemble: Name and digest of what was evaluated.
        data: Where the objects come from.
    """
    counts = ", ".join(f"{n} {kind}" for kind, n in evaluation.n_objects.items())
    rates = " and ".join(f"{rate:.0%}" for rate in RATES)
    sections = [
        f"# {ensemble}, evaluated",
        f"On {data}: {counts}. {_HOW}",
        _table(
            ("all objects", ""),
            ([_NAMES.get(name, name.replace("_", " ")), _shown(m)] for name, m in evaluation.overall.items()),
        ),
        _table(("network", "AUROC"), ([name, _shown(m)] for name, m in evaluation.networks.items())),
        "## Share above the threshold, by property",
        f"Thresholds that {rates} of all non-lenses exceed. For lenses this is recall, for look-alikes the false positives.",
        _table(
            ("property", "group", "objects", *(f"at {rate:.0%}" for rate in RATES)),
            ([g.property, g.group, str(g.n), *(_shown(m) for m in g.above)] for g in evaluation.groups),
        ),
    ]
    if evaluation.cuts:
        sections += [
            "## What a cut would give",
            f"Among a million objects of which a fraction {evaluation.prevalence:g} are lenses. {_MIXTURE}",
            _table(
                ("p_lens at least", "recall", "purity", "candidates to inspect"),
                map(_cut, evaluation.cuts),
            ),
        ]
    sections += ["![ROC](roc.png) ![Reliability](reliability.png) ![Completeness](completeness.png)"]
    return "\n\n".join(sections) + "\n"


def _cut(cut: Cut) -> list[str]:
    return [f"{cut.p_lens:g}", f"{cut.recall:.3f}", f"{cut.purity:.3f}", f"{cut.to_inspect_per_million:.0f}"]


def _shown(measured: Measured) -> str:
    return f"{measured.value:.3f} ({measured.low:.3f}-{measured.high:.3f})"


def _table(header: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
