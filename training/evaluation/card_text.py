"""The card of a package as Markdown, for people."""

import re
from math import ceil
from pathlib import Path

from infra.store.files import replace_whole
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import write_card
from scanner.networks.combiner import MeanCombiner
from scanner.networks.lens_regression import LensRegression
from scanner.networks.network_card import NetworkCard
from scanner.networks.stage_cards import CandidateStage, EarlyExit
from training.evaluation.evaluation_text import cuts_table, matched_table, nonlenses_in_words
from training.evaluation.map_text import maps_section
from training.evaluation.matched_rates import recalls_on_card
from training.evaluation.score_correlation import correlations_on_card

TEXT_FILE = "CARD.md"
CITATION = "Trained with lensscan after Wilde J. et al. 2022, MNRAS, 512, 3464. Cite both when you use this ensemble."
"""Citation on the cards of trained ensembles."""
_COLUMNS = (
    ("AUROC", "auroc"),
    ("accuracy", "accuracy"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("F 0.03", "f_beta"),
    ("false positives", "false_positive_rate"),
    ("single", "recall_single"),
    ("compound arc", "recall_compound_arc"),
    ("double ring", "recall_double_ring"),
)


def write_card_with_text(folder: Path, card: EnsembleCard) -> None:
    """Write or replace card.json and CARD.md, each of them whole."""
    write_card(folder, card)
    with replace_whole(folder / TEXT_FILE) as part:
        part.write_text(card_markdown(card), encoding="utf-8")


def card_markdown(card: EnsembleCard) -> str:
    """Return the text of CARD.md: the content of `card.json` as tables."""
    return "\n".join(
        [
            *_title(card),
            *_metrics(card),
            *_combination(card),
            *_combiners(card.metrics),
            *_poolings(card.metrics),
            *_first_stage(card),
            *_default_cut(card),
            *_cuts(card),
            *_matched(card),
            *_correlations(card),
            *_nonlens_sample(card),
            *_feature_reference(card),
            *_probes(card),
            *maps_section(card),
            *_inputs(card),
            *_training_data(card),
            *_limits(card),
        ]
    )


_OF_COMBINED = (
    "The row of the ensemble is of the natural draws that it is calibrated on; those of the networks are of their trainings."
)
_EXTRA = ("auroc_compound", "subclass_accuracy", "calibration_error", "f_beta_max")


def _title(card: EnsembleCard) -> list[str]:
    return [f"# {card.name}", "", card.description, "", f"Licence {card.licence}. {card.citation}", ""]


def _metrics(card: EnsembleCard) -> list[str]:
    """Return the metrics of each network and of the ensemble."""
    header = ["", *(title for title, _ in _COLUMNS)]
    rows = [_row(network.name, network.metrics) for network in card.lens_networks] + [_row("**ensemble**", card.metrics)]
    return [
        "## Metrics on held-out objects",
        "",
        "At p = 0.5 where a threshold is needed, after p_lens is restated to the validation split's share of lenses; AUROC",
        "with its 95 % interval; last three columns: recall by kind.",
        *([_OF_COMBINED] if any(name.startswith("pooling_") for name in card.metrics) else []),
        *([] if card.cuts else ["The purity of cuts in p_lens is unknown until `lensscan evaluate` has measured it."]),
        "",
        _line(header),
        _line(["---"] * len(header)),
        *rows,
        "",
        *(f"- {name}: {card.metrics[name]:.3f}" for name in _EXTRA if name in card.metrics),
        "",
    ]


def _combination(card: EnsembleCard) -> list[str]:
    combiner = "the mean of the networks" if isinstance(card.combiner, MeanCombiner) else "a multinomial logistic regression"
    prevalence = "no lens fraction" if card.assumed_prevalence is None else f"a lens fraction of {card.assumed_prevalence:.3g}"
    words = f"The combiner is {combiner}; it assumes {prevalence}. {card.calibration}"
    return ["## Combination and calibration", "", words, ""]


def _row(name: str, metrics: dict[str, float]) -> str:
    cells = [f"{metrics[key]:.3f}" if key in metrics else "" for _, key in _COLUMNS]
    if "auroc_low" in metrics:
        cells[0] += f" ({metrics['auroc_low']:.3f}-{metrics['auroc_high']:.3f})"
    return _line([name, *cells])


def _combiners(metrics: dict[str, float]) -> list[str]:
    """Return a table of the combiners compared on the validation split; no lines without a comparison."""
    introduction = (
        "Compared by cross-validation on the validation split (the neighbours' vote and OU-T-SNE's grid are not shipped):"
    )
    header = ["combiner", "log loss", "AUROC", "recall before the eleventh false positive"]
    return _comparison(metrics, "combiner", ("log_loss", "auroc", "tpr_at_10_false_positives"), header, introduction)


def _poolings(metrics: dict[str, float]) -> list[str]:
    """Return a table of the poolings that `lensscan models combine` compared; no lines without a comparison."""
    introduction = "Fitted on half of the natural draws, measured on the others; both recalls at 1 % false positives of these:"
    header = ["pooling of the networks", "log loss", "recall of natural lenses", "recall of broad lenses"]
    return _comparison(metrics, "pooling", ("log_loss", "natural_recall", "broad_recall"), header, introduction)


def _comparison(
    metrics: dict[str, float], what: str, columns: tuple[str, ...], header: list[str], introduction: str
) -> list[str]:
    """Return a table of the metrics `<what>_<name>_<column>`, a row for each name; `log_loss` is the first column."""
    names = [key[len(what) + 1 : -len("_log_loss")] for key in metrics if re.fullmatch(f"{what}_.*_log_loss", key)]
    if not names:
        return []
    rows = [_line([name, *(f"{metrics[f'{what}_{name}_{column}']:.4f}" for column in columns)]) for name in names]
    return [introduction, "", _line(header), _line(["---"] * len(header)), *rows, ""]


def _first_stage(card: EnsembleCard) -> list[str]:
    """Return what the first stage of a cascade passes and loses; no lines without one."""
    if card.first is None:
        return []
    stage = card.first
    figures = [f"- {name.replace('_', ' ')}: {value:.4f}" for name, value in stage.metrics.items()]
    introduction = (
        f"`{stage.network.name}` looks at every object. The committee, the other networks, looks at those to which it gives a "
        f"`p_lens` of {stage.exclude_below:.2e} or more; the others keep this `p_lens`. Shares of objects that pass, and of "
        "the lenses that the committee would keep at the default cut that it has alone, and does not see:"
    )
    return [
        "## First stage",
        "",
        introduction,
        "",
        *figures,
        "",
        *_early_exit(card.early_exit),
        *_candidate_stage(card.candidate_stage),
    ]


def _early_exit(early_exit: EarlyExit | None) -> list[str]:
    if early_exit is None:
        return []
    introduction = (
        f"`{early_exit.network}` looks before the other networks of the committee. They look at the objects to which it alone "
        f"gives a `p_lens` of {early_exit.exclude_below:.2e} or more; the others keep this `p_lens`. Shares of objects that "
        "pass both limits, and of the lenses lost by both:"
    )
    figures = [f"- {name.replace('_', ' ')}: {value:.4f}" for name, value in early_exit.metrics.items()]
    return ["## Early exit of the committee", "", introduction, "", *figures, ""]


def _candidate_stage(stage: CandidateStage | None) -> list[str]:
    if stage is None:
        return []
    of_lens = _correction(stage.lens) if stage.lens else "The `p_lens` of candidates is that of the committee."
    introduction = (
        f"`{stage.network.name}` looks at the candidates alone. A regression on what it and the committee say gives their "
        f"kind. {of_lens} The figures are of half of the natural draws, after the regressions were fitted on the other half. "
        "They compare this network and the committee alone, at compound against single lenses, and at lenses against the other "
        "objects whose `p_lens` may be corrected:"
    )
    figures = [f"- {name.replace('_', ' ')}: {value:.4f}" for name, value in stage.metrics.items()]
    return ["## Candidate network", "", introduction, "", *figures, "", *_opinion(stage)]


def _opinion(stage: CandidateStage) -> list[str]:
    """Return who gives a second opinion; no lines without one."""
    if stage.opinion is None or stage.lens is None:
        return []
    names = ", ".join(f"`{network.name}`" for network in stage.opinion.networks)
    words = (
        f"{names} look at the same objects, and give a second opinion by a regression of their own. Its log-odds have a weight "
        f"of {stage.lens.opinion_share:g} in the mean that corrects `p_lens`; the weights above share the rest."
    )
    return [words, ""]


def _correction(lens: LensRegression) -> str:
    text = (
        f"It corrects the `p_lens` of objects to which the committee gives {lens.from_p_lens:.2e} or more. In the "
        f"mixture that the committee is fitted on, the log-odds of a lens are then {lens.slope:.2f} times a mean, plus "
        f"{lens.bias:.2f}: the mean of the committee's log-odds and the network's, which has a weight of "
        f"{lens.network_share:g}."
    )
    if lens.curve is None:
        return text
    knots = ", ".join(f"{at:g} becomes {becomes:.2f}" for at, becomes in zip(lens.curve.at, lens.curve.becomes, strict=True))
    below, above = lens.curve.slopes
    return (
        f"{text} A curve corrects these log-odds again: {knots}; between these it is straight, with slopes of {below:.2f} below"
        f" and {above:.2f} above."
    )


def _default_cut(card: EnsembleCard) -> list[str]:
    """Return what the card's own cuts lose and keep; no lines for a card without one, or where that is unknown."""
    if card.default_cut is None or "cut_natural_lenses_lost" not in card.metrics:
        return []
    lines = [
        "## Default cut",
        "",
        f"Objects with a `p_lens` of {card.default_cut:.2e} or more are candidates, unless a command names another threshold.",
        _at_cut(card, "cut"),
    ]
    if card.deep_cut is not None:
        lines += ["", f"The cut `deep` is {card.deep_cut:.2e}. {_at_cut(card, 'deep_cut')}"]
    return [*lines, ""]


def _at_cut(card: EnsembleCard, cut: str) -> str:
    lost, kept = (
        ", ".join(f"{card.metrics[f'{cut}_{of}_{what}']:.3f} of the {of} {name}" for of in ("natural", "broad"))
        for what, name in (("lenses_lost", "lenses"), ("nonlenses_kept", "non-lenses"))
    )
    return f"The cut loses {lost}; it keeps {kept}: draws that no network saw."


def _cuts(card: EnsembleCard) -> list[str]:
    """Return the purity of each cut and the number to inspect; no lines if no cut has a meaning or a measurement."""
    if not card.cuts:
        return []
    introduction = (
        f"Numbers for a million objects with a fraction {card.assumed_prevalence:g} of lenses, measured by `lensscan evaluate` "
        "(see EVALUATION.md) on simulated objects with far more look-alikes than the sky: there, lists of candidates should be "
        "shorter and purer."
    )
    return ["## Expected results of a cut", "", introduction, "", *cuts_table(card.cuts).splitlines(), ""]


def _matched(card: EnsembleCard) -> list[str]:
    """Return the recall of each kind at small false-positive rates; no lines without a measurement."""
    found = recalls_on_card(card.metrics)
    if not found:
        return []
    introduction = f"Measured by `lensscan evaluate`; {nonlenses_in_words(found)} set the thresholds, in brackets 95 %:"
    return ["## Recall at matched false-positive rates", "", introduction, "", *matched_table(found).splitlines(), ""]


def _correlations(card: EnsembleCard) -> list[str]:
    """Return how alike the networks' scores are; no lines for one network, or without a measurement."""
    rows = correlations_on_card(card.metrics, [network.name for network in card.all_networks])
    if not rows:
        return []
    introduction = "Spearman's rank correlation of the networks' scores, from `lensscan evaluate`:"
    header = ["networks", "of lenses", "of non-lenses"]
    lines = [_line(header), _line(["---"] * len(header)), *(_line(list(row)) for row in rows)]
    return ["## Correlation of the networks", "", introduction, "", *lines, ""]


def _nonlens_sample(card: EnsembleCard) -> list[str]:
    """Return what the sample of non-lenses is; no lines without one."""
    about = card.nonlens_sample
    if about is None:
        return []
    needed = ceil(1e7 / (1 + about.n_objects))
    words = (
        f"{about.n_objects} non-lenses that no network saw were scored ({about.description}); `{about.file}` (sha256 "
        f"`{about.sha256[:12]}`) holds the {about.n_stored} scores of at least {about.least:.2g}. Lists of `lensscan query "
        f"--fdr` rest on it. In a night of a million rows, the shortest list of `--fdr 0.1` has {needed} rows, each with a "
        "higher score than all of these non-lenses."
    )
    return ["## Sample of non-lenses", "", words, ""]


def _feature_reference(card: EnsembleCard) -> list[str]:
    """Return what the reference of embeddings is; no lines without one."""
    about = card.feature_reference
    if about is None:
        return []
    words = (
        f"`{about.file}` (sha256 `{about.sha256[:12]}`) fixes the axes of embeddings, from {about.n_objects} objects that the "
        f"networks describe ({about.description}). Anomalies are distances to some of them; the histograms of `lensscan drift` "
        f"are those of {about.n_natural} non-lenses."
    )
    return ["## Reference of embeddings", "", words, ""]


def _probes(card: EnsembleCard) -> list[str]:
    """Return the result of the bias probes; no lines if there were none."""
    return ["## Bias probes", "", f"{card.probes} PROBES.md has the table.", ""] if card.probes else []


def _inputs(card: EnsembleCard) -> list[str]:
    """Return the inputs and the weights of each network."""
    rows = [
        f"| {n.name} | {n.architecture} | {_channels(n)} | {n.input_pixels} | {n.n_parameters} | `{n.sha256[:12]}` |"
        for n in card.all_networks
    ]
    return [
        "## Inputs and weights",
        "",
        f"Stamps in the `{card.geometry}` geometry, each band resized and scaled on its own.",
        "",
        "| network | architecture | channels in order | pixels | parameters | sha256 |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _training_data(card: EnsembleCard) -> list[str]:
    words = f"{card.training_data.description}. Digest of the shards: `{card.training_data.digest}`."
    return ["## Training data", "", words, "", *_counts(card.training_data.n_objects)]


def _limits(card: EnsembleCard) -> list[str]:
    return ["## Limits", "", *(f"- {sentence}" for sentence in card.limits), ""] if card.limits else []


def _channels(network: NetworkCard) -> str:
    """Describe the channels of a network, such as `min_max of J, Y; detail of VIS`."""
    scalings = dict.fromkeys(channel.scaling for channel in network.channels)
    return "; ".join(f"{s} of {', '.join(c.band for c in network.channels if c.scaling == s)}" for s in scalings)


def _counts(n_objects: dict[str, int]) -> list[str]:
    """Return a table of the number of objects in each split, by kind; no lines where it is unknown."""
    if not n_objects:
        return []
    splits = list(dict.fromkeys(key.split(" ")[0] for key in n_objects))
    kinds = list(dict.fromkeys(key.split(" ")[1] for key in n_objects))
    body = [_line([split, *(str(n_objects[f"{split} {kind}"]) for kind in kinds)]) for split in splits]
    return [_line(["split", *kinds]), _line(["---"] * (len(kinds) + 1)), *body, ""]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
