"""Margins that trained networks give the objects of a data set with truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.engine_name import EngineName
from infra.progress import Progress
from infra.provenance import digest
from infra.store.storage import read_bytes
from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import LogitMargins, MeanCombiner
from scanner.networks.ensemble import Ensemble
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_engines
from scanner.networks.training_data_card import TrainingDataCard
from scanner.preprocess.stamp_checks import check_finite
from scanner.sources.shard_batches import shard_batches
from scanner.vocabulary.geometry import GEOMETRIES
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.evaluation.known_shards import decoded, read_kinds
from training.evaluation.shard_scores import shard_footers

_BATCH = 64
_NONLENS = KINDS.index("nonlens")


@dataclass(frozen=True)
class Margins:
    """Margins of every network on the objects of a data set, and their kinds."""

    by_network: LogitMargins
    kinds: NDArray[np.int8]
    """`[object]`, index into `KINDS`."""

    def rows(self, chosen: NDArray[np.bool_]) -> "Margins":
        """Return the margins on some objects, by a mask `[object]`."""
        return Margins({name: values[chosen] for name, values in self.by_network.items()}, self.kinds[chosen])

    def of(self, names: Sequence[str]) -> "Margins":
        """Return the margins of some networks on the same objects."""
        return Margins({name: self.by_network[name] for name in names}, self.kinds)

    def with_nonlenses(self, by_network: LogitMargins) -> "Margins":
        """Return these margins, and behind them those of further objects, all of them non-lenses, by the same networks."""
        (n_more,) = {len(by_network[name]) for name in self.by_network}
        together = {name: np.concatenate([values, by_network[name]]) for name, values in self.by_network.items()}
        return Margins(together, np.append(self.kinds, np.full(n_more, _NONLENS, self.kinds.dtype)))

    @property
    def is_lens(self) -> NDArray[np.bool_]:
        """`[object]`: true for lenses of any kind."""
        return self.kinds != _NONLENS


@dataclass(frozen=True)
class MoreNonLenses:
    """Non-lenses of a natural population, of which the margins were kept and the pixels were not."""

    margins: LogitMargins
    """Margins of every network, `[object, class - 1]`, by its name."""
    data_set: str
    """The data set, as `n=200000, seed=5, geometry mer10, preset euclid`."""
    simulation: str
    """Description of the data set, as shards of it would state it."""

    @property
    def digest(self) -> str:
        """SHA-256 of what made the objects."""
        return digest([self.data_set, self.simulation])


def read_margins(
    networks: Mapping[str, tuple[Path, NetworkCard]], shards_uri: str, progress: Progress, engine: EngineName = "auto"
) -> Margins:
    """Run networks, each from the folder of its package and by its name, on every object of some shards.

    Raises:
        TrainingError: there are no shards, a file is not a shard with truth, or an object cannot be used.
        PackageError, EngineError: as `load_engines`.
    """
    footers = shard_footers(shards_uri)
    # Read before the pixels, because networks take long.
    kinds = read_kinds(footers)
    cards = [card for _, card in networks.values()]
    geometry = GEOMETRIES[cards[0].geometry]
    engines = load_engines(list(networks.values()), engine)
    ensemble = Ensemble(unfitted_card(cards), engines, checks_pixels=False)
    margins: dict[str, list[NDArray[np.float64]]] = {name: [] for name in networks}
    n_objects, n_done = sum(footer.num_rows for footer in footers.values()), 0
    for uri in footers:
        shard = decoded(uri, read_bytes(uri))
        for batch in shard_batches(shard, np.arange(len(shard.object_ids)), geometry, _BATCH):
            if batch.rejected:
                raise TrainingError(f"{uri}: an object cannot be used: {batch.rejected[0][1]}")
            check_finite(batch.stamps)
            for name, values in ensemble.logit_margins(batch.stamps).items():
                margins[name].append(values)
        n_done += len(shard.object_ids)
        progress(n_done, n_objects)
    return Margins({name: np.concatenate(parts) for name, parts in margins.items()}, kinds)


def random_half(n: int) -> NDArray[np.bool_]:
    """Choose the half of `n` objects that a model is fitted on where the other half measures it, `[object]`."""
    return np.random.default_rng(0).permutation(n) % 2 == 0


def unfitted_card(networks: Sequence[NetworkCard]) -> EnsembleCard:
    """Return the card of an ensemble in which every network sees every object; its scores are calibrated on nothing."""
    return EnsembleCard(
        format_version=2,
        name="unfitted",
        description="",
        licence="",
        geometry=networks[0].geometry,
        networks=tuple(network.filed_by_name() for network in networks),
        combiner=MeanCombiner(kind="mean", networks=tuple(network.name for network in networks)),
        training_data=TrainingDataCard(description="", digest=None, n_objects={}),
        metrics={},
        calibration="",
        assumed_prevalence=None,
        limits=(),
        citation="",
    )
