"""Check the attribution maps of each network and method of an ensemble on simulated lenses whose arcs are known."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from infra.engine_name import EngineName
from infra.progress import Progress
from scanner.explain.sanity import (
    Maps,
    Truth,
    chance,
    hits,
    hits_of_middle,
    is_empty,
    randomised,
    rank_correlation,
    relevance_mass,
)
from scanner.networks.card import EnsembleCard
from scanner.networks.network_card import NetworkCard
from scanner.networks.package import load_network
from scanner.preprocess.network_inputs import Inputs, network_input
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.vocabulary.geometry import Stamps
from training.errors import TrainingError
from training.evaluation.arc_truth import on_input
from training.evaluation.map_curves import Curves, error_of_mean, lens_probability_function
from training.evaluation.map_measures import LEAST_OBJECTS, METHODS, CheckSize, MapChecks, Method, MethodCheck
from training.evaluation.relevance import Cells, cells_of, maps_of, middle, on_common_grid, others

ADDED_NOISE_SIGMA = 0.5
"""Sigma of the added noise in units of the sky's sigma, small enough that the image stays nearly as good as before."""


def check_ensemble_maps(
    folder: Path,
    card: EnsembleCard,
    stamps: Stamps,
    truth: Truth,
    rng: np.random.Generator | int,
    size: CheckSize | None = None,
    engine: EngineName = "torch",
    progress: Progress | None = None,
) -> MapChecks:
    """Check the maps of every network of a package.

    Args:
        folder: Folder of the package.
        card: Card of the package.
        stamps: Stamps of bright lenses, band to `[batch, y, x]`, in the ensemble's geometry.
        truth: `[batch, y, x]`, arcs on the pixels of VIS.
        rng: Generator for noise and orders of cells, or its seed.
        size: Numbers of objects, untrained networks and steps.
        engine: Engine that runs the networks for insertion and deletion.
        progress: Called after each step.

    Raises:
        TrainingError: there are fewer than two lenses.
        PackageError: the weights are unusable.
    """
    size = size or CheckSize()
    stamps, truth = {band: images[: size.n_objects] for band, images in stamps.items()}, truth[: size.n_objects]
    if len(truth) < LEAST_OBJECTS:
        raise TrainingError(f"needs at least {LEAST_OBJECTS} lenses with bright arcs, got {len(truth)}")
    n_steps, done = len(card.networks) * size.n_steps_a_network, 0

    def count_step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, n_steps)

    checks: list[MethodCheck] = []
    common: dict[str, Mapping[Method, Maps]] = {}
    for network_card, own_rng in zip(card.networks, np.random.default_rng(rng).spawn(len(card.networks)), strict=True):
        network_checks, maps = check_network_maps(
            load_network(folder, network_card), network_card, stamps, truth, own_rng, size, engine, count_step
        )
        checks += network_checks
        common[network_card.name] = {method: on_common_grid(maps[method], method, network_card) for method in METHODS}
    return MapChecks(n_bright_lenses=len(truth), checks=tuple(_with_agreement(check, common) for check in checks))


def check_network_maps(
    network: nn.Sequential,
    card: NetworkCard,
    stamps: Stamps,
    truth: Truth,
    rng: np.random.Generator,
    size: CheckSize,
    engine: EngineName = "torch",
    on_step: Callable[[], None] = lambda: None,
) -> tuple[list[MethodCheck], Mapping[Method, Maps]]:
    """Return the checks of each method on one network, and the checked maps; arguments as for `check_ensemble_maps`."""
    inputs, on_arc = network_input(stamps, card.channels, card.input_pixels), on_input(truth, card)

    def maps(mapped: nn.Sequential, seen: Inputs) -> Mapping[Method, Maps]:
        method_maps = maps_of(mapped, card, seen, size.n_occluded)
        on_step()
        return method_maps

    trained = maps(network, inputs)
    noisy = maps(network, network_input(with_noise(stamps, rng), card.channels, card.input_pixels))
    untrained = [maps(randomised(network, seed), inputs) for seed in range(1, size.n_randomised + 1)]
    curves = Curves(lens_probability_function(network, card, engine), inputs[: size.n_occluded], size.n_steps, rng)
    checks = []
    for method in METHODS:
        cells = cells_of(method, card)
        of_method = trained[method]
        of_untrained = [maps_by_method[method] for maps_by_method in untrained]
        figures = _pointing(of_method, of_untrained, cells, on_arc[: len(of_method)])
        alone, in_noise, *by_chance = (middle(cells_maps, card) for cells_maps in (of_method, noisy[method], *of_untrained))
        figures |= _correlations(alone, in_noise, by_chance) | curves.figures(of_method, cells)
        checks.append(MethodCheck(network=card.name, method=method, n=len(of_method), n_curves=len(curves.inputs), **figures))
        on_step()
    return checks, trained


def with_noise(stamps: Stamps, rng: np.random.Generator) -> Stamps:
    """Add white noise of half the sky's sigma to the noise of each pixel."""
    return {band: _with_noise(images, rng) for band, images in stamps.items()}


def _with_noise(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    _, sigma = sky_level_and_sigma(images)
    added = ADDED_NOISE_SIGMA * sigma[:, None, None] * rng.standard_normal(images.shape)
    return (images + added).astype(np.float32)


def _pointing(maps: Maps, untrained: Sequence[Maps], cells: Cells, truth: Truth) -> dict[str, float]:
    """Measure how often maps point at the arc, and how much relevance lies there; `truth` is on input pixels."""
    on_cells = cells.covering(truth)

    def hit(of_networks: Sequence[Maps]) -> NDArray[np.float64]:
        """Return, for each object, the share of networks whose map hits the arc."""
        return np.asarray(np.mean([hits(of_network, on_cells, cells.slack) for of_network in of_networks], axis=0))

    own, of_others, of_middle = hit([maps]), hit([others(maps)]), hits_of_middle(on_cells, cells.slack).astype(float)
    by_chance, by_chance_of_others = hit(untrained), hit([others(of_network) for of_network in untrained])
    best = of_others if of_others.mean() >= of_middle.mean() else of_middle
    return {
        "hits": float(own.mean()),
        "hits_of_others": float(of_others.mean()),
        "hits_of_middle": float(of_middle.mean()),
        "hits_error": error_of_mean(own - best),
        "hits_at_random": float(chance(on_cells, cells.slack).mean()),
        "hits_randomised": float(by_chance.mean()),
        "hits_randomised_of_others": float(by_chance_of_others.mean()),
        "hits_randomised_error": error_of_mean(by_chance - by_chance_of_others),
        "empty": float(is_empty(maps).mean()),
        "mass": float(relevance_mass(cells.at_pixels(maps, truth.shape[-1]), truth).mean()),
        "mass_at_random": float(truth.mean()),
    }


def _correlations(maps: Maps, noisy: Maps, untrained: Sequence[Maps]) -> dict[str, float]:
    return {
        "correlation_randomised": float(np.mean([rank_correlation(maps, of_network) for of_network in untrained])),
        "correlation_others": float(rank_correlation(maps, others(maps)).mean()),
        "correlation_noise": float(rank_correlation(maps, noisy).mean()),
    }


def _with_agreement(check: MethodCheck, common: Mapping[str, Mapping[Method, Maps]]) -> MethodCheck:
    own = common[check.network][check.method]
    of_networks = [maps[check.method] for name, maps in common.items() if name != check.network]
    if not of_networks:
        return check
    figures = {
        "correlation_networks": float(np.mean([rank_correlation(own, of_network) for of_network in of_networks])),
        "correlation_networks_others": float(
            np.mean([rank_correlation(own, others(of_network)) for of_network in of_networks])
        ),
    }
    return check.model_copy(update=figures)
