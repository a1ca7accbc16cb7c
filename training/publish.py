"""Trained networks into an ensemble package: combiner, held-out metrics, card and learning curves."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from infra.provenance import code_version
from scanner.networks.card import EnsembleCard, NetworkCard, TrainingDataCard
from scanner.networks.combiner import Margins, MeanCombiner, SoftmaxStack, lens_probability, margins_of
from scanner.networks.engines import TorchEngine
from scanner.networks.package import draft_network_card, write_package
from scanner.pixels.shards import KINDS
from training.batches import BatchSource
from training.calibrate import MIN_OBJECTS_PER_KIND, can_stack, expected_calibration_error, fit_stack
from training.card_text import card_markdown
from training.combiners import STACKS, best_stack, can_compare, compare_combiners
from training.config import TrainConfig
from training.curves import draw_learning_curves
from training.dataset import SPLITS, Dataset
from training.errors import TrainingError
from training.fit import FitResult
from training.metrics import auroc, metrics

_BATCH = 64
CITATION = "Trained with lensscan after Wilde J. et al. 2022, MNRAS, 512, 3464. Cite both when you use this ensemble."
LIMITS = (
    "Trained on simulations alone: how it does on real images must be measured before its candidates are trusted.",
    "Metrics hold for the test split's mixture, where lenses and their look-alikes are far more common than on the sky.",
)
_KINDS_ARE_HINTS = (
    "The networks tell lenses from the rest only; kinds (single, compound_arc, double_ring) are guessed from the pattern of "
    "their outputs: treat subclass as a hint."
)


def publish_ensemble(folder: Path, name: str, fits: Sequence[FitResult], dataset: Dataset, config: TrainConfig) -> EnsembleCard:
    """Write the package `folder`, with CARD.md, history.json and learning_curves.png beside the card.

    The combiner is fitted on the validation split, the metrics are of the test split; no network saw either in training.

    Args:
        folder: Of the package.
        name: Of the ensemble.
        fits: One per network of `config`.
        dataset: That the networks were trained on.
        config: That they were trained with; says which fraction of lenses `p_lens` is to assume.

    Raises:
        TrainingError: the test split lacks lenses or non-lenses.
    """
    rows = {split: dataset.rows(split, config.validation_fraction, config.test_fraction) for split in SPLITS}
    margins = {split: split_margins(fits, dataset, config, rows[split]) for split in ("validation", "test")}
    test_kinds = dataset.kinds[rows["test"]]
    combiner, compared = _fit_combiner(margins["validation"], dataset.kinds[rows["validation"]], config.prevalence)
    stacked = isinstance(combiner, SoftmaxStack)
    try:
        ensemble_metrics = _ensemble_metrics(combiner, margins["test"], test_kinds) | compared
    except ValueError as error:
        raise TrainingError(f"test split: {error}; train on more objects") from error
    card = EnsembleCard(
        format_version=2,
        name=name,
        description=f"{len(fits)} networks ({_architectures(config)}) trained on simulated objects ({code_version()}).",
        licence="MIT",
        geometry=config.geometry,
        networks=tuple(_network_card(fit, config, margins["test"][fit.name], test_kinds) for fit in fits),
        combiner=combiner,
        training_data=TrainingDataCard(
            description=_describe_data(config, dataset),
            digest=dataset.digest,
            n_objects={f"{s} {kind}": n for s in SPLITS for kind, n in dataset.kind_counts(rows[s]).items()},
        ),
        metrics=ensemble_metrics,
        calibration=_calibration_text(ensemble_metrics) if stacked else _UNCALIBRATED,
        assumed_prevalence=_prevalence(combiner),
        limits=LIMITS if all(len(spec.classes) > 2 for spec in config.networks) else (*LIMITS, _KINDS_ARE_HINTS),
        citation=CITATION,
    )
    card = write_package(folder, card, {fit.name: load_file(fit.weights) for fit in fits})
    history = {fit.name: [asdict(record) for record in fit.history] for fit in fits}
    (folder / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    (folder / "CARD.md").write_text(card_markdown(card), encoding="utf-8")
    draw_learning_curves(fits, folder / "learning_curves.png")
    return card


def split_margins(fits: Sequence[FitResult], dataset: Dataset, config: TrainConfig, rows: NDArray[np.int64]) -> Margins:
    """Network name to `[row, class - 1]`, in float32 as when scanning."""
    found: dict[str, NDArray[np.float64]] = {}
    for fit in fits:
        spec = config.network(fit.name)
        network = spec.build()
        network.load_state_dict(load_file(fit.weights))
        engine = TorchEngine(network)
        batches = BatchSource(dataset, spec, _BATCH).in_order(rows)
        nothing = np.empty((0, len(spec.classes)))
        found[fit.name] = margins_of(np.concatenate([nothing, *(engine.logits(inputs.numpy()) for inputs, _ in batches)]))
    return found


def _fit_combiner(
    margins: Margins, kinds: NDArray[np.int8], prevalence: float | None
) -> tuple[SoftmaxStack | MeanCombiner, dict[str, float]]:
    """The combiner that does best on held-out parts of these objects, and how each does."""
    if not can_stack(kinds):
        return MeanCombiner(kind="mean", networks=tuple(margins)), {}
    if not can_compare(kinds):
        return fit_stack(margins, kinds, prevalence), {}
    compared = compare_combiners(margins, kinds, np.random.default_rng(0))
    figures = {
        f"combiner_{c.combiner}_{what}": getattr(c, what)
        for c in compared
        for what in ("log_loss", "auroc", "tpr_at_10_false_positives")
    }
    return STACKS[best_stack(compared)](margins, kinds, prevalence), figures


_UNCALIBRATED = (
    f"None: the validation split holds fewer than {MIN_OBJECTS_PER_KIND} objects of a kind, so p_lens is the networks' mean."
)


def _calibration_text(found: dict[str, float]) -> str:
    return (
        "Multinomial logistic regression of the kind on the networks' logit differences, on all of them or on their means, "
        "whichever did better in cross-validation on the validation split, on which it is fitted; expected calibration error "
        f"on the test split {found['calibration_error']:.3f} (10 bins, the split's own share of lenses)."
    )


def _prevalence(combiner: SoftmaxStack | MeanCombiner) -> float | None:
    if isinstance(combiner, MeanCombiner):
        return None
    fitted = 1 - combiner.training_fractions[KINDS.index("nonlens")]
    return fitted if combiner.prevalence is None else combiner.prevalence


def _ensemble_metrics(combiner: SoftmaxStack | MeanCombiner, margins: Margins, kinds: NDArray[np.int8]) -> dict[str, float]:
    """Of the objects' own mixture: a prevalence that was asked for would only move the thresholds."""
    as_fitted = combiner.model_copy(update={"prevalence": None}) if isinstance(combiner, SoftmaxStack) else combiner
    combined = as_fitted.combine(margins)
    is_lens = kinds != KINDS.index("nonlens")
    found = metrics(combined.p_lens, kinds, _bootstrap_rng())
    if combined.p_compound is not None and combined.subclass is not None:
        is_compound = (kinds == KINDS.index("compound_arc")) | (kinds == KINDS.index("double_ring"))
        truth = np.array(KINDS)[kinds]
        found["calibration_error"] = expected_calibration_error(combined.p_lens, is_lens)
        found["subclass_accuracy"] = float((np.array(combined.subclass) == truth).mean())
        if is_compound.any():
            found["auroc_compound"] = auroc(combined.p_compound, is_compound)
    return found


def _network_card(fit: FitResult, config: TrainConfig, margin: NDArray[np.float64], kinds: NDArray[np.int8]) -> NetworkCard:
    found = metrics(lens_probability(margin), kinds, _bootstrap_rng())
    found |= {"best_epoch": float(fit.best.epoch), "validation_loss": fit.best.validation_loss}
    return draft_network_card(config.network(fit.name), config.geometry, found)


def _bootstrap_rng() -> np.random.Generator:
    """The same resamples for every network, so that their intervals compare."""
    return np.random.default_rng(0)


def _describe_data(config: TrainConfig, dataset: Dataset) -> str:
    augmented = "random flips and quarter turns of all classes alike" if config.augment else "no augmentation"
    sizes = sorted({(spec.input_pixels, config.batch_size_of(spec), config.epochs_of(spec)) for spec in config.networks})
    passes = ", ".join(f"{epochs} epochs in batches of {batch} ({n} px)" for n, batch, epochs in sizes)
    loss = "class-weighted cross-entropy" if config.balance_classes else "cross-entropy"
    return (
        f"{len(dataset.kinds)} simulated objects of {len(KINDS)} kinds in the {config.geometry} geometry; split by a hash of "
        f"the object id; Adam {config.learning_rate:g} ({config.schedule.replace('_', ' ')}), weight decay "
        f"{config.weight_decay:g}, {passes}, {loss}, {augmented}, weights of lowest validation loss kept; seed {config.seed}"
    )


def _architectures(config: TrainConfig) -> str:
    return ", ".join(dict.fromkeys(spec.architecture for spec in config.networks))
