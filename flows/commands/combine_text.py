"""The result of `lensscan models combine`, for people."""

from scanner.networks.card import EnsembleCard
from scanner.networks.stage_cards import CandidateStage, ExcludingNetwork


def combined_lines(card: EnsembleCard, folder: str) -> dict[str, str]:
    """Return a line for each stage of a combined ensemble, by its title: what it passes and loses, on calibration objects."""
    lines = {"ensemble": card.name, "networks": ", ".join(network.name for network in card.all_networks)}
    if card.first:
        lines["first stage"] = f"{card.first.network.name}: {_passed(card.first)}"
    if card.early_exit:
        lines["early exit"] = f"{card.early_exit.network}, with the first stage: {_passed(card.early_exit)}"
    if card.candidate_stage:
        lines["candidates"] = _candidates(card.candidate_stage)
    lines["default cut"] = _at_cut(card, "cut", card.candidate_threshold)
    if card.deep_cut is not None:
        lines["deep cut"] = _at_cut(card, "deep_cut", card.deep_cut)
    return {**lines, "AUROC": f"{card.metrics['auroc']:.4f}, natural", "folder": folder}


def _at_cut(card: EnsembleCard, name: str, cut: float) -> str:
    lost, kept = (card.metrics[f"{name}_natural_{what}"] for what in ("lenses_lost", "nonlenses_kept"))
    return f"{cut:.2g}: {lost:.1%} of natural lenses lie below it, {kept:.2%} of natural non-lenses do not"


def _passed(stage: ExcludingNetwork) -> str:
    passed = stage.metrics["natural_nonlenses_passed"]
    natural, broad = (stage.metrics[f"{name}_lenses_lost"] for name in ("natural", "broad"))
    return (
        f"{passed:.1%} of natural non-lenses pass; {natural:.2%} of the natural and {broad:.2%} of the broad lenses that the "
        "committee keeps are lost"
    )


def _candidates(stage: CandidateStage) -> str:
    of = stage.metrics
    kinds = f"compound against single lenses: AUROC {of['auroc_compound_of_committee']:.3f} -> {of['auroc_compound']:.3f}"
    if stage.lens is None:
        return f"{stage.network.name} tells the kind; p_lens stays that of the committee. {kinds}"
    lenses = f"lenses against others: AUROC {of['auroc_lens_of_committee']:.3f} -> {of['auroc_lens']:.3f}"
    corrects = "correct" if stage.opinion else "corrects"
    names = ", ".join(network.name for network in stage.networks)
    return f"{names} {corrects} p_lens from {stage.lens.from_p_lens:.2g} on. {lenses}; {kinds}"
