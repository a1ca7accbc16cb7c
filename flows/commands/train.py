"""`lensscan train`: train networks and their combiner into an ensemble package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from infra.settings import Settings
from infra.store.storage import check_folder
from scanner.networks.card_file import CARD_FILE, read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.network_card import check_name
from scanner.networks.package import load_scorer
from scanner.vocabulary.choices import TrainingPreset
from training.build import work_folder
from training.config import PRESETS, TrainConfig
from training.errors import TrainingError
from training.grade_gain import GradeGain, grade_gain
from training.graded import GradedShards, LeftOut
from training.run import train_ensemble
from training.work_lock import locked


class TrainResult(Frozen):
    """Path of the package, its AUROC on the test split, and what grades have gained."""

    ensemble: str
    package: Path
    test_auroc: float
    uncalibrated: str | None = Field(default=None, exclude_if=lambda value: value is None)
    """The reason why `p_lens` means no probability, if it does not."""
    gain: GradeGain | None = None
    """The ensemble that training started from and the new one on the same objects; None without grades."""
    left_out: LeftOut | None = Field(default=None, exclude_if=lambda value: value is None)
    """Graded objects that no network learnt, if there are any."""


def train_package(
    shards_uri: str,
    out: Path,
    name: str,
    preset: TrainingPreset,
    epochs: int | None,
    workers: int,
    start_from: str | None,
    learning_rate: float | None,
    networks: str | None,
    teacher: str | None,
    with_grades: str | None,
    progress: Progress,
) -> TrainResult:
    """Train on the shards under `shards_uri`, with the meaning of the flow's parameters.

    `with_grades` is a catalogue. Its graded objects are read once for each name of an ensemble, so that a training that was
    killed goes on with the same grades.

    Raises:
        LensscanError: a parameter is invalid, the data are unusable for training, another run trains this ensemble at the
            moment, or a network's workers failed.
    """
    # The shards are read first in training, which takes long, so what is quick to see comes before.
    check_folder(str(out))
    _check_arguments(name, preset, start_from, teacher, with_grades)
    start, asked = (chosen_package(ensemble) if ensemble else None for ensemble in (start_from, teacher))
    changes = {"epochs": epochs, "num_workers": workers, "learning_rate": learning_rate, "start_from": start, "teacher": asked}
    config = _config(preset, networks, changes)
    _check_name_free(out / name, config)
    with locked(work_folder(out, name)):
        if with_grades:
            config = config.model_copy(update={"graded": _graded_folder(with_grades, config, work_folder(out, name))})
        return _trained(config, shards_uri, out, name, progress)


def _trained(config: TrainConfig, shards_uri: str, out: Path, name: str, progress: Progress) -> TrainResult:
    """Train the ensemble, and measure what its grades have gained."""
    settings = Settings.read()
    engine = resolve_engine(settings.engine)
    card = train_ensemble(config, shards_uri, out, name, progress, settings.ray_address, engine)
    return TrainResult(
        ensemble=card.name,
        package=out / name,
        test_auroc=card.metrics["auroc"],
        uncalibrated=card.calibration if card.assumed_prevalence is None else None,
        gain=_gain(config, shards_uri, out / name, engine),
        left_out=GradedShards(config.graded).left_out if config.graded else None,
    )


def _check_arguments(
    name: str, preset: TrainingPreset, start_from: str | None, teacher: str | None, with_grades: str | None
) -> None:
    """Check that the name is one, and that the arguments fit together."""
    try:
        check_name(name)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    if with_grades and (teacher or not start_from):
        raise TrainingError("--with-grades continues the training of an ensemble: give --start-from, and no --teacher")
    if PRESETS[preset].lenses_only and (teacher or with_grades):
        raise TrainingError(f"the preset {preset} learns from lenses alone: give no --teacher and no --with-grades")


def _config(preset: TrainingPreset, networks: str | None, changes: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration of a preset, or of some of its networks, with the changes that are not None."""
    given = {field: value for field, value in changes.items() if value is not None}
    config = PRESETS[preset].model_copy(update=given)
    if networks is None:
        return config
    try:
        return config.with_networks([name.strip() for name in networks.split(",")])
    except ValueError as error:
        raise TrainingError(str(error)) from error


def _check_name_free(package: Path, config: TrainConfig) -> None:
    """Check that a training replaces no ensemble of other networks; one of the same networks is trained on, or is done."""
    if not (package / CARD_FILE).exists():
        return
    names, asked = [network.name for network in read_card(package).all_networks], [spec.name for spec in config.networks]
    if names != asked:
        raise TrainingError(
            f"{package}: holds an ensemble of {', '.join(names)}, not of {', '.join(asked)}; choose another --name or --out"
        )


def _graded_folder(catalogue: str, config: TrainConfig, work: Path) -> Path:
    """Return the folder of the graded objects; it is filled unless an earlier call has done that."""
    from flows.commands.graded import graded_shards

    folder = (work / "graded").absolute()
    if not GradedShards(folder).is_complete:
        graded_shards(catalogue, config.geometry, folder)
    return folder


def _gain(config: TrainConfig, shards_uri: str, package: Path, engine: EngineName) -> GradeGain | None:
    """Compare the new ensemble with the one that it started from, and keep the figures in its package."""
    if config.graded is None or config.start_from is None:
        return None
    before, after = (load_scorer(folder, engine, checks_pixels=False) for folder in (config.start_from, package))
    gain = grade_gain(before, after, config.graded, shards_uri, config, no_progress)
    (package / "grades.json").write_text(gain.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return gain
