"""`lensscan models combine`: make a cascade of networks that were trained one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.ensembles import chosen_package
from infra.progress import Progress, part_of
from infra.settings import Settings
from scanner.networks.card import EnsembleCard
from scanner.networks.engines import ResolvedEngineName, resolve_engine
from scanner.networks.locate import folder_for_new
from simulation.object_blocks import nonlenses, objects_of_blocks
from simulation.object_margins import MarginSimulator, margins_in
from simulation.products.dataset import per_object
from training.calibration_shards import CalibrationShards
from training.cascade import assemble
from training.cascade_networks import CascadeNetworks, choose_networks
from training.config import COMPOUND_SHARE, PREVALENCE
from training.errors import TrainingError
from training.evaluation.card_text import write_card_with_text
from training.evaluation.stated_data import same_objects
from training.margins import MoreNonLenses


@dataclass(frozen=True)
class SimulatedNonLenses:
    """Non-lenses to simulate for a calibration."""

    n: int
    seed: int
    margins_uri: str | None
    """Folder of the margins on the way; None: margins-NAME in the working folder."""
    workers: int | None
    """Number of processes; None: that of the settings."""


def combine_packages(
    members: Sequence[str],
    first: str | None,
    natural_uri: str,
    broad_uri: str,
    name: str,
    progress: Progress,
    *,
    turns: bool = True,
    candidates: str | None = None,
    second_opinion: str | None = None,
    more: SimulatedNonLenses | None = None,
) -> tuple[EnsembleCard, Path]:
    """Combine the networks of packages, given by names or folders, and write the package among the user's ensembles.

    Raises:
        TrainingError: two networks share a name, the shards cannot be used, or a network was trained with the non-lenses
            to simulate.
        SimulationError: the folder of the margins holds those of other objects or networks.
        PackageError: a package cannot be read, or the name is taken.
    """
    folder = folder_for_new(name, Settings.read().ensembles_dir)
    packages = [chosen_package(member) for member in members]
    stages = (chosen_package(stage) if stage else None for stage in (first, candidates, second_opinion))
    first_package, last, opinion = stages
    networks = choose_networks(first_package, packages, last, opinion, turns=turns)
    if more:
        _check_seed(more, networks)
    engine = resolve_engine(Settings.read().engine)
    n_more = more.n if more else 0
    shards = CalibrationShards.read(natural_uri, broad_uri, n_more)
    shards.check_for(networks.geometry, networks.packages())
    n_all = n_more + shards.n_objects
    simulated = _simulated(networks, name, more, engine, part_of(progress, 0, n_all)) if more else None
    parts = (shards, folder.parent, PREVALENCE, COMPOUND_SHARE, part_of(progress, n_more, n_all), simulated)
    card = assemble(name, networks, *parts, engine)
    write_card_with_text(folder, card)
    return card, folder


def _check_seed(more: SimulatedNonLenses, networks: CascadeNetworks) -> None:
    stated = [per_object(nonlenses(more.n, more.seed, networks.geometry))]
    for card in networks.packages():
        if same_objects(stated, card.training_data.trained_on.simulations):
            raise TrainingError(f"seed must be one that {card.name} was not trained with, got {more.seed}")


def _simulated(
    networks: CascadeNetworks, name: str, more: SimulatedNonLenses, engine: ResolvedEngineName, progress: Progress
) -> MoreNonLenses:
    """Simulate non-lenses, and return the margins of all networks."""
    settings, spec = Settings.read(), nonlenses(more.n, more.seed, networks.geometry)
    where, workers = more.margins_uri or f"margins-{name}", more.workers or settings.workers
    with TemporaryDirectory(prefix="lensscan-combine-") as folder:
        networks.write_unfitted(Path(folder))
        table = objects_of_blocks(MarginSimulator, spec, Path(folder), engine, where, workers, progress)
    return MoreNonLenses(
        margins_in(table), f"n={more.n}, seed={more.seed}, geometry {networks.geometry}, preset euclid", per_object(spec)
    )
