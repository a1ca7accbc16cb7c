"""Trained networks into an ensemble package: combiner, held-out metrics, card and learning curves."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.special import expit

from infra.provenance import code_version
from scanner.networks.architectures import ARCHITECTURES, LENS_CLASS_INDEX
from scanner.networks.card import EnsembleCard, NetworkCard, TrainingDataCard
from scanner.networks.combiner import MeanCombiner, SoftmaxStack
from scanner.networks.engines import TorchEngine
from scanner.networks.package import draft_network_card, write_package
from scanner.pixels.geometry import CHALLENGE
from scanner.pixels.shards import KINDS
from training.batches import BatchSource
from training.calibrate import MIN_OBJECTS_PER_KIND, can_stack, expected_calibration_error, fit_stack
from training.card_text import card_markdown
from training.config import TrainConfig
from training.curves import draw_learning_curves
from training.dataset import SPLITS, Dataset
from training.errors import TrainingError
from training.evaluate import auroc, metrics
from training.fit import FitResult

_BATCH = 64
CITATION = "Networks after Wilde J. et al. 2022, MNRAS, 512, 3464; trained with lensscan. Cite both when you use this ensemble."
LIMITS = (
    "Trained on simulations alone: how it does on real images must be measured before its candidates are trusted.",
    "Metrics hold for the mixture of kinds in the test split, where lenses are far more common than on the sky.",
    "The kinds (single, compound_arc, double_ring) are told apart by the shape of seven outputs: treat subclass as a hint.",
)


def publish_ensemble(
    folder: Path, name: str, fits: Sequence[FitResult], dataset: Dataset, config: TrainConfig, prevalence: float | None = None
) -> EnsembleCard:
    """Write the package `folder`, with CARD.md, history.json and learning_curves.png beside the card.

    The combiner is fitted on the validation split, the metrics are of the test split; no network saw either in training.

    Args:
        folder: Of the package.
        name: Of the ensemble.
        fits: One per network of `config`.
        dataset: That the networks were trained on.
        config: That they were trained with.
        prevalence: Fraction of lenses that `p_lens` is to assume; None: that of the validation split.

    Raises:
        TrainingError: the test split lacks lenses or non-lenses.
    """
    rows = {split: dataset.rows(split, config.validation_fraction, config.test_fraction) for split in SPLITS}
    margins = {split: split_margins(fits, dataset, config, rows[split]) for split in ("validation", "test")}
    test_kinds = dataset.kinds[rows["test"]]
    combiner = _fit_combiner(margins["validation"], dataset.kinds[rows["validation"]], prevalence)
    stacked = isinstance(combiner, SoftmaxStack)
    try:
        ensemble_metrics = _ensemble_metrics(combiner, margins["test"], test_kinds)
    except ValueError as error:
        raise TrainingError(f"test split: {error}; train on more objects") from error
    card = EnsembleCard(
        format_version=1,
        name=name,
        description=f"{len(fits)} networks of Wilde et al. 2022 trained on simulated objects ({code_version()}).",
        licence="MIT",
        geometry=CHALLENGE.name,
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
        limits=LIMITS,
        citation=CITATION,
    )
    card = write_package(folder, card, {fit.name: load_file(fit.weights) for fit in fits})
    history = {fit.name: [asdict(record) for record in fit.history] for fit in fits}
    (folder / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    (folder / "CARD.md").write_text(card_markdown(card), encoding="utf-8")
    draw_learning_curves(fits, folder / "learning_curves.png")
    return card


def split_margins(
    fits: Sequence[FitResult], dataset: Dataset, config: TrainConfig, rows: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Network name to `[row]`: logit of the lens class minus the other, in float32 as when scanning."""
    found: dict[str, NDArray[np.float64]] = {}
    specs = {spec.name: spec for spec in config.specs}
    for fit in fits:
        spec = specs[fit.name]
        network = ARCHITECTURES[spec.architecture].build(len(spec.bands))
        network.load_state_dict(load_file(fit.weights))
        engine = TorchEngine(network)
        batches = BatchSource(dataset, spec, _BATCH).in_order(rows)
        logits = np.concatenate([np.empty((0, 2)), *(engine.logits(inputs.numpy()) for inputs, _ in batches)])
        found[fit.name] = logits[:, LENS_CLASS_INDEX] - logits[:, 1 - LENS_CLASS_INDEX]
    return found


def _fit_combiner(
    margins: dict[str, NDArray[np.float64]], kinds: NDArray[np.int8], prevalence: float | None
) -> SoftmaxStack | MeanCombiner:
    if can_stack(kinds):
        return fit_stack(margins, kinds, prevalence)
    return MeanCombiner(kind="mean", networks=tuple(margins))


_UNCALIBRATED = (
    f"None: the validation split holds fewer than {MIN_OBJECTS_PER_KIND} objects of a kind, so p_lens is the networks' mean."
)


def _calibration_text(found: dict[str, float]) -> str:
    return (
        "Multinomial logistic regression of the kind on the networks' logit differences, fitted on the validation split; "
        f"expected calibration error on the test split {found['calibration_error']:.3f} (10 bins)."
    )


def _prevalence(combiner: SoftmaxStack | MeanCombiner) -> float | None:
    if isinstance(combiner, MeanCombiner):
        return None
    fitted = 1 - combiner.training_fractions[KINDS.index("nonlens")]
    return fitted if combiner.prevalence is None else combiner.prevalence


def _ensemble_metrics(
    combiner: SoftmaxStack | MeanCombiner, margins: dict[str, NDArray[np.float64]], kinds: NDArray[np.int8]
) -> dict[str, float]:
    combined = combiner.combine(margins)
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
    spec = next(spec for spec in config.specs if spec.name == fit.name)
    found = metrics(expit(margin), kinds, _bootstrap_rng())
    found |= {"best_epoch": float(fit.best.epoch), "validation_loss": fit.best.validation_loss}
    return draft_network_card(spec.name, spec.architecture, spec.bands, CHALLENGE.name, LENS_CLASS_INDEX, found)


def _bootstrap_rng() -> np.random.Generator:
    """The same resamples for every network, so that their intervals compare."""
    return np.random.default_rng(0)


def _describe_data(config: TrainConfig, dataset: Dataset) -> str:
    augmented = "random flips and quarter turns of all classes alike" if config.augment else "no augmentation"
    return (
        f"{len(dataset.kinds)} simulated objects of {len(KINDS)} kinds in the {CHALLENGE.name} geometry; split by a hash of "
        f"the object id; Adam {config.learning_rate:g}, batches of {config.batch_size_ou66} (66 px) and "
        f"{config.batch_size_ou200} (200 px), class-weighted cross-entropy, {augmented}, "
        f"weights of lowest validation loss kept; seed {config.seed}"
    )
