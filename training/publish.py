"""Publish trained networks as an ensemble package: combiner, held-out metrics, card and learning curves."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from infra.engine_name import EngineName
from infra.provenance import code_version
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.combiner import LogitMargins, MeanCombiner, SoftmaxStack
from scanner.networks.engines import make_engine
from scanner.networks.log_odds import lens_probability, logit_margins
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import draft_network_card, write_package
from scanner.networks.prevalence import compound_limit
from scanner.networks.training_data_card import DataSets, TrainingDataCard, data_lists
from scanner.vocabulary.kinds import KINDS
from training.batches import BatchSource
from training.combiners import fit_combiner
from training.config import TrainConfig
from training.curves import draw_learning_curves
from training.dataset import SPLITS, Dataset, Split
from training.evaluation.calibrate import MIN_OBJECTS_PER_KIND, expected_calibration_error
from training.evaluation.card_text import CITATION, card_markdown
from training.evaluation.metrics import auroc, metrics
from training.fit import FitResult
from training.limits import KINDS_ARE_HINTS, LENSES_ALONE, SIMULATED_ALONE, mixture_limit

_BATCH = 64


def publish_ensemble(
    folder: Path, name: str, fits: Sequence[FitResult], dataset: Dataset, config: TrainConfig, engine: EngineName = "auto"
) -> EnsembleCard:
    """Write the package `folder`, with CARD.md, history.json and learning_curves.png beside the card; return its card.

    The combiner is fitted on the validation split, which also chose each network's epoch; the test split gives the metrics. A
    card that is there stays if its scores are the same: it may tell what was measured since.

    Args:
        folder: Folder of the package.
        name: Name of the ensemble.
        fits: One fit per network of `config`.
        dataset: Data set that the networks were trained on.
        config: Configuration of the training; sets the fraction of lenses that `p_lens` assumes.
        engine: Engine that runs the networks.
    """
    rows = {split: dataset.rows(split, config.validation_fraction, config.test_fraction) for split in SPLITS}
    margins = {split: split_margins(fits, dataset, config, rows[split], engine) for split in ("validation", "test")}
    test_kinds = dataset.kinds[rows["test"]]
    fitted = fit_combiner(margins["validation"], dataset.kinds[rows["validation"]])
    combiner = fitted.combiner
    if isinstance(combiner, SoftmaxStack):
        combiner = combiner.assuming(config.prevalence, config.compound_share)
    ensemble_metrics = _ensemble_metrics(combiner, margins["test"], test_kinds) | fitted.figures
    card = EnsembleCard(
        format_version=2,
        name=name,
        description=f"{len(fits)} networks ({_architectures(config)}) trained on simulated objects ({code_version()}).",
        licence="MIT",
        geometry=config.geometry,
        networks=tuple(_network_card(fit, config, margins["test"][fit.name], test_kinds) for fit in fits),
        combiner=combiner,
        training_data=_training_data(config, dataset, rows),
        metrics=ensemble_metrics,
        calibration=_calibration_text(fitted.name, ensemble_metrics),
        assumed_prevalence=_prevalence(combiner),
        limits=tuple(_limits(combiner, config)),
        citation=CITATION,
    )
    card = write_package(folder, card, {fit.name: load_file(fit.weights) for fit in fits}, keeps_measured=True)
    history = {fit.name: [asdict(record) for record in fit.history] for fit in fits}
    (folder / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    (folder / "CARD.md").write_text(card_markdown(card), encoding="utf-8")
    draw_learning_curves(fits, folder / "learning_curves.png")
    return card


def split_margins(
    fits: Sequence[FitResult], dataset: Dataset, config: TrainConfig, rows: NDArray[np.int64], engine: EngineName = "auto"
) -> LogitMargins:
    """Return margins `[row, class - 1]` by network name, computed as in a scan from inputs rounded as in training."""
    margins: dict[str, NDArray[np.float64]] = {}
    for fit in fits:
        spec = config.network(fit.name)
        network = spec.build()
        network.load_state_dict(load_file(fit.weights))
        # The data set keeps whole inputs, also of networks that see only the middle.
        made = make_engine(network, len(spec.channels), spec.input_pixels, engine)
        batches = BatchSource(dataset, spec, _BATCH).in_order(rows)
        no_rows = np.empty((0, len(spec.classes)))
        margins[fit.name] = logit_margins(np.concatenate([no_rows, *(made.logits(inputs.numpy()) for inputs, _ in batches)]))
    return margins


def _training_data(config: TrainConfig, dataset: Dataset, rows: Mapping[Split, NDArray[np.int64]]) -> TrainingDataCard:
    """Return what the networks were trained on, those that they started from included; `rows` by split."""
    before = [read_card(config.start_from).training_data] if config.start_from else []
    return TrainingDataCard(
        description=_describe_data(config, dataset),
        digest=dataset.digest,
        n_objects={f"{s} {kind}": n for s in SPLITS for kind, n in dataset.kind_counts(rows[s]).items()},
        **data_lists(before, trained_on=DataSets(dataset.data_sets, dataset.simulations)),
    )


def _calibration_text(combiner: str | None, figures: dict[str, float]) -> str:
    if combiner is None:
        return (
            f"None: the validation split holds fewer than {MIN_OBJECTS_PER_KIND} objects of a kind, "
            "so p_lens is the networks' mean."
        )
    of_what = {"stack": "all networks' logit differences", "mean": "the networks' mean logit differences"}[combiner]
    return (
        f"Multinomial logistic regression of the kind on {of_what}, fitted on the validation split; expected calibration "
        f"error on the test split {figures['calibration_error']:.3f} (10 bins, the split's own share of lenses)."
    )


def _limits(combiner: SoftmaxStack | MeanCombiner, config: TrainConfig) -> Iterator[str]:
    if config.lenses_only:
        yield LENSES_ALONE
    yield SIMULATED_ALONE
    yield mixture_limit("the test split")
    if isinstance(combiner, SoftmaxStack):
        yield compound_limit(combiner.assumed_compound_share)
    if any(len(spec.classes) == 2 for spec in config.networks):
        yield KINDS_ARE_HINTS


def _prevalence(combiner: SoftmaxStack | MeanCombiner) -> float | None:
    if isinstance(combiner, MeanCombiner):
        return None
    return combiner.fitted_prevalence if combiner.prevalence is None else combiner.prevalence


def _ensemble_metrics(
    combiner: SoftmaxStack | MeanCombiner, margins: LogitMargins, kinds: NDArray[np.int8]
) -> dict[str, float]:
    """Return metrics of `p_lens` restated to the fitted mixture, where p = 0.5 is meaningful; ranks are unchanged."""
    as_fitted = combiner.assuming(None, None) if isinstance(combiner, SoftmaxStack) else combiner
    combined = combiner.combine(margins)
    p_lens = as_fitted.combine(margins).p_lens
    is_lens = kinds != KINDS.index("nonlens")
    figures = metrics(p_lens, kinds, _bootstrap_rng())
    if combined.p_compound is not None and combined.subclass is not None:
        is_compound = (kinds == KINDS.index("compound_arc")) | (kinds == KINDS.index("double_ring"))
        truth = np.array(KINDS)[kinds]
        figures["calibration_error"] = expected_calibration_error(p_lens, is_lens)
        figures["subclass_accuracy"] = float((np.array(combined.subclass) == truth).mean())
        if is_compound.any():
            figures["auroc_compound"] = auroc(combined.p_compound, is_compound)
    return figures


def _network_card(fit: FitResult, config: TrainConfig, margin: NDArray[np.float64], kinds: NDArray[np.int8]) -> NetworkCard:
    figures = metrics(lens_probability(margin), kinds, _bootstrap_rng())
    figures |= {"best_epoch": float(fit.best.epoch), "validation_loss": fit.best.validation_loss}
    return draft_network_card(config.network(fit.name), config.geometry, figures)


def _bootstrap_rng() -> np.random.Generator:
    """Return a generator that gives every network the same resamples, so that their intervals are comparable."""
    return np.random.default_rng(0)


def _describe_data(config: TrainConfig, dataset: Dataset) -> str:
    augmented = "random flips and quarter turns of all classes alike" if config.augment else "no augmentation"
    sizes = sorted({(spec.input_pixels, config.batch_size_of(spec)) for spec in config.networks})
    passes = f"{config.epochs} epochs in batches of {', '.join(f'{batch} ({n} px)' for n, batch in sizes)}"
    loss = "class-weighted cross-entropy" if config.balance_classes else "cross-entropy"
    begun = f"begun with the weights of {config.start_from.name}; " if config.start_from else ""
    taught = f"taught by {config.teacher.name} (share {config.teacher_share:g}); " if config.teacher else ""
    lenses = "learnt from the lenses alone; " if config.lenses_only else ""
    n_simulated = len(dataset.kinds) - dataset.n_graded
    graded = f"{dataset.n_graded} graded objects, {config.graded_share:.0%} of an epoch; " if dataset.n_graded else ""
    step = f"{config.learning_rate:g} ({config.schedule.replace('_', ' ')}), weight decay {config.weight_decay:g}"
    return (
        f"{n_simulated} simulated objects of {len(KINDS)} kinds in the {config.geometry} geometry; split by a hash of "
        f"the object id; {lenses}{begun}{taught}{graded}AdamW {step}, "
        f"{passes}, {loss}, {augmented}, weights of lowest calibrated validation loss kept; seed {config.seed}"
    )


def _architectures(config: TrainConfig) -> str:
    return ", ".join(dict.fromkeys(spec.architecture for spec in config.networks))
