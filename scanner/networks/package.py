"""Networks of ensemble packages on disk: a folder has `card.json` and one safetensors file per network, never a pickle.

Torch is imported where weights are read or written: a worker that finds its networks in the cache of graphs needs none.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infra.engine_name import EngineName
from infra.provenance import sha256_bytes
from infra.store.files import replace_whole
from scanner.networks.architectures import NetworkSpec
from scanner.networks.candidate_network import CandidateNetwork
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import CARD_FILE, read_card, read_weights, write_card
from scanner.networks.cascade import Cascade, Scorer
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.engines import AnyNetwork, make_engine, resolve_engine
from scanner.networks.ensemble import Engine, Ensemble
from scanner.networks.errors import PackageError
from scanner.networks.network_card import NetworkCard
from scanner.networks.precision import Precision
from scanner.networks.turned_engine import TurnedEngine
from scanner.purity import Cut

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOG = logging.getLogger(__name__)


def load_scorer(
    folder: Path,
    engine: EngineName = "torch",
    threads: int | None = None,
    *,
    checks_pixels: bool = True,
    candidate_threshold: float | None = None,
    features: bool = False,
) -> Scorer:
    """Load what scores the objects of a package exactly: its cascade, or its ensemble if it has no first stage.

    Objects reach the committee of a cascade from the card's limits on, or from `candidate_threshold` on if that is lower, so
    that the committee has scored every candidate. Every candidate gets its kind from the candidate network, if there is one;
    that network corrects `p_lens` from the card's own limit on, whatever the threshold. With `features`, scores have the
    features of the committee's networks.

    Raises:
        PackageError, EngineError: as `load_package`.
    """
    committee = load_package(folder, engine, threads=threads, checks_pixels=checks_pixels, features=features)
    card = committee.card
    if card.first is None:
        return committee
    # The committee checks the pixels that it sees; the first stage sees all.
    first = load_first_stage(folder, engine, threads=threads, checks_pixels=checks_pixels)
    highest = 1.0 if candidate_threshold is None else candidate_threshold
    early_exit = card.early_exit
    if early_exit:
        early_exit = early_exit.model_copy(update={"exclude_below": min(early_exit.exclude_below, highest)})
    candidate_network = _candidate_network(folder, card, candidate_threshold, engine, threads)
    return Cascade(card, first, committee, min(card.first.exclude_below, highest), early_exit, candidate_network)


def _candidate_network(
    folder: Path, card: EnsembleCard, candidate_threshold: float | None, engine: EngineName, threads: int | None
) -> CandidateNetwork | None:
    """Load the networks that look at the candidates alone; None if the package has none."""
    ensemble = load_candidate_stage(folder, engine, threads=threads)
    if card.candidate_stage is None or ensemble is None:
        return None
    if not isinstance(card.combiner, SoftmaxStack):
        raise PackageError(f"{folder / CARD_FILE}: a candidate network needs a committee that is combined by softmax_stack")
    # Lower thresholds make more candidates; a higher one is applied to what is stored, and must not change it.
    lowest = card.threshold("deep") if candidate_threshold is None else min(card.threshold("deep"), candidate_threshold)
    return CandidateNetwork(ensemble, card.candidate_stage, lowest, card.combiner)


def load_first_stage(
    folder: Path,
    engine: EngineName = "torch",
    precision: Precision = "float32",
    threads: int | None = None,
    *,
    checks_pixels: bool = True,
) -> Ensemble:
    """Load the first stage of a package as an ensemble of one network.

    Raises:
        PackageError, EngineError: as `load_package`; or the package has no first stage.
    """
    card = read_card(folder).first_stage_card
    if card is None:
        raise PackageError(f"{folder / CARD_FILE}: has no first stage")
    return _load(folder, card, engine, precision, threads, checks_pixels=checks_pixels)


def load_candidate_stage(
    folder: Path, engine: EngineName = "torch", precision: Precision = "float32", threads: int | None = None
) -> Ensemble | None:
    """Load the networks that look at the candidates alone as an ensemble; None if the package has none.

    It does not check pixels, because the committee has checked them.

    Raises:
        PackageError, EngineError: as `load_package`.
    """
    card = read_card(folder).candidate_stage_card
    return None if card is None else _load(folder, card, engine, precision, threads, checks_pixels=False)


def load_package(
    folder: Path,
    engine: EngineName = "torch",
    precision: Precision = "float32",
    threads: int | None = None,
    *,
    checks_pixels: bool = True,
    features: bool = False,
) -> Ensemble:
    """Load the ensemble of a package: check its weights against card and architecture, and put each network on an engine.

    First stage and candidate network are not loaded; `load_scorer` loads them too. `checks_pixels` is False in a scan: its
    readers pass on finite pixels only, so the ensemble need not look at them again. With `features`, scores have the features
    of the networks.

    Raises:
        PackageError: the package does not match its card; the message names the file, the value expected and the one found.
        EngineError: this machine cannot run that engine in that precision.
    """
    return _load(folder, read_card(folder), engine, precision, threads, checks_pixels=checks_pixels, features=features)


def _load(
    folder: Path,
    card: EnsembleCard,
    engine: EngineName,
    precision: Precision,
    threads: int | None,
    *,
    checks_pixels: bool,
    features: bool = False,
) -> Ensemble:
    _LOG.info("%s: %d networks on engine %s in %s", card.name, len(card.networks), engine, precision)
    engines = load_engines([(folder, network) for network in card.networks], engine, precision, threads)
    return Ensemble(card, engines, checks_pixels=checks_pixels, features=features)


def load_engines(
    networks: Sequence[tuple[Path, NetworkCard]],
    engine: EngineName,
    precision: Precision = "float32",
    threads: int | None = None,
) -> dict[str, Engine]:
    """Put networks, each with the folder of its package, on an engine, and return them by name.

    Raises:
        PackageError, EngineError: as `load_package`.
    """
    # All networks are checked before the first engine is made.
    loaded = [_network(folder, card, engine) for folder, card in networks]
    engines: dict[str, Engine] = {}
    for (_, card), network in zip(networks, loaded, strict=True):
        made = make_engine(network, len(card.channels), card.field_pixels, engine, precision, threads)
        engines[card.name] = made if card.turns == 1 else TurnedEngine(made, card.turns)
    return engines


def _network(folder: Path, card: NetworkCard, engine: EngineName) -> AnyNetwork:
    """Return a network as its engine takes it; a graph in the cache is of weights that were checked before."""
    if resolve_engine(engine) != "openvino":
        return load_network(folder, card)
    # Imported here, because it imports OpenVINO, which other engines do not need.
    from scanner.networks.graph_cache import cached_graph

    read_weights(folder, card)
    return cached_graph(card, lambda: load_network(folder, card))


def load_network(folder: Path, card: NetworkCard) -> "nn.Sequential":
    """Load one network of a package, in eval mode.

    Raises:
        PackageError: the weights file is missing, has another digest, or does not fit the architecture.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from scanner.networks.parameters import count_parameters

    path = folder / card.weights_file
    try:
        state = load(read_weights(folder, card))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:  # KeyError: a type that torch lacks
        raise PackageError(f"{path}: not a safetensors file ({error})") from error
    # Without memory: random start weights would take as long as all the rest.
    with torch.device("meta"):
        network = card.spec.build()
    if card.n_parameters != count_parameters(network):
        raise PackageError(
            f"{folder / CARD_FILE}: n_parameters of {card.name} must be {count_parameters(network)}, got {card.n_parameters}"
        )
    check_state(str(path), network, state)
    network.load_state_dict(state, assign=True)
    return network.eval()


def check_state(where: str, network: "nn.Module", state: "Mapping[str, Tensor]") -> None:
    """Check that `state` holds exactly the network's tensors.

    Raises:
        PackageError: a tensor is missing, unknown, of another shape or type, or not finite.
    """
    import torch

    expected = network.state_dict()
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        raise PackageError(f"{where}: tensors must be those of the architecture; missing {missing}, unknown {unknown}")
    for name, tensor in expected.items():
        got = state[name]
        if got.shape != tensor.shape or got.dtype != tensor.dtype:
            raise PackageError(
                f"{where}: {name} must be {tensor.dtype} {tuple(tensor.shape)}, got {got.dtype} {tuple(got.shape)}"
            )
        if not torch.isfinite(got).all():
            raise PackageError(f"{where}: {name} must be finite, got {int((~torch.isfinite(got)).sum())} values that are not")


def write_package(
    folder: Path, card: EnsembleCard, state_dicts: "Mapping[str, Mapping[str, Tensor]]", *, keeps_measured: bool = False
) -> EnsembleCard:
    """Write a package and return its card with the digests of the weights as written.

    Args:
        folder: Folder of the package, created if absent; an existing package is replaced, its card last.
        card: Card of the package; the `sha256` of its networks are filled in here.
        state_dicts: Network name to tensors, named as the architecture names them.
        keeps_measured: Keep the card in the folder, but for the training data, if it is of the same scores: it may tell what
            was measured since.

    Raises:
        PackageError: the tensors do not fit the card, or the card that may be kept cannot be read.
    """
    from safetensors.torch import save

    if sorted(state_dicts) != sorted(network.name for network in card.all_networks):
        raise PackageError(f"{folder}: needs weights of {[n.name for n in card.all_networks]}, got {sorted(state_dicts)}")
    encoded: dict[str, bytes] = {}
    for network in card.all_networks:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dicts[network.name].items()}
        check_state(network.name, network.spec.build(), state)
        encoded[network.name] = save(state)

    def with_digest(network: NetworkCard) -> NetworkCard:
        return network.model_copy(update={"sha256": sha256_bytes(encoded[network.name])})

    first = card.first and card.first.model_copy(update={"network": with_digest(card.first.network)})
    last = card.candidate_stage and card.candidate_stage.with_networks(with_digest)
    changed = {"networks": tuple(map(with_digest, card.networks)), "first": first, "candidate_stage": last}
    card = card.model_copy(update=changed)
    before = read_card(folder) if keeps_measured and (folder / CARD_FILE).exists() else None
    folder.mkdir(parents=True, exist_ok=True)
    for network in card.all_networks:
        with replace_whole(folder / network.weights_file) as part:
            part.write_bytes(encoded[network.name])
    if before and before.sha256 == card.sha256:
        card = before.model_copy(update={"training_data": card.training_data})
    write_card(folder, card)
    return card


def with_metrics(card: EnsembleCard, metrics: Mapping[str, Mapping[str, float]]) -> EnsembleCard:
    """Return a copy of a card with more metrics of its networks; its sha256 stays the same.

    Args:
        card: The card to copy.
        metrics: Network name to metrics; they replace metrics of the same names.

    Raises:
        ValueError: a metric is not finite.
    """
    networks = [
        NetworkCard.model_validate({**network.model_dump(), "metrics": {**network.metrics, **metrics.get(network.name, {})}})
        for network in card.networks
    ]
    return card.model_copy(update={"networks": tuple(networks)})


def with_cuts(card: EnsembleCard, cuts: Sequence[Cut]) -> EnsembleCard:
    """Return a copy of a card with other cuts; its sha256 stays the same.

    Raises:
        ValueError: the cuts are out of order, or `p_lens` is not calibrated.
    """
    return EnsembleCard.model_validate({**card.model_dump(), "cuts": cuts})


def draft_network_card(spec: NetworkSpec, geometry: str, metrics: dict[str, float]) -> NetworkCard:
    """Return the card of a network that is not written yet: `write_package` fills in the digest."""
    from scanner.networks.parameters import count_parameters

    return NetworkCard(
        name=spec.name,
        architecture=spec.architecture,
        channels=spec.channels,
        input_pixels=spec.input_pixels,
        geometry=geometry,
        classes=spec.classes,
        weights_file=f"{spec.name}.safetensors",
        sha256="0" * 64,
        n_parameters=count_parameters(spec.build()),
        metrics=metrics,
    )
