"""Measure whether the catalogue's maps of the flagship as a whole point at arcs, on bright simulated lenses."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.explain.candidate_maps import CandidateMapper, CandidateMaps
from scanner.explain.map_grid import SHOWN_ARCSEC
from scanner.explain.sanity import chance, hits, hits_of_middle, randomised
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from tests.benchmarks.meaning import N_RANDOMISED, bright_lenses
from tests.benchmarks.sizes import FLAGSHIP

CELLS = {"guided": (40, 1), "occlusion": (8, 0)}
"""Cells per side of each map, and the distance from the arc in cells that still counts as a hit: about a VIS PSF."""


def measure() -> dict[str, float]:
    """Measure the share of maps whose highest cell lies on the arc: trained, untrained, on others' arcs, and for the middle."""
    stamps, on_pixels = bright_lenses()
    truth = {name: _on_cells(on_pixels, n) for name, (n, _) in CELLS.items()}
    others = {name: np.roll(of, 1, axis=0) for name, of in truth.items()}
    networks = [(load_network(SHIPPED_DIR / FLAGSHIP, card), card) for card in read_card(SHIPPED_DIR / FLAGSHIP).networks]
    trained = CandidateMapper(networks).maps(stamps)
    untrained = [
        CandidateMapper([(randomised(network, seed), card) for network, card in networks]).maps(stamps)
        for seed in range(1, N_RANDOMISED + 1)
    ]
    found = {
        "hits": _hits(trained, truth),
        "hits_of_others_arcs": _hits(trained, others),
        "hits_randomised": _mean([_hits(maps, truth) for maps in untrained]),
        "hits_randomised_of_others_arcs": _mean([_hits(maps, others) for maps in untrained]),
        "hits_of_the_middle": {name: float(hits_of_middle(truth[name], slack).mean()) for name, (_, slack) in CELLS.items()},
        "hits_at_random": {name: float(chance(truth[name], slack).mean()) for name, (_, slack) in CELLS.items()},
    }
    return {f"stored_{name}_{what}": value for what, of_kinds in found.items() for name, value in of_kinds.items()}


def _on_cells(truth: NDArray[np.bool_], n_cells: int) -> NDArray[np.bool_]:
    """Reduce `[batch, y, x]` from the stamps' pixels to the cells of the middle 8 arcsec that contain a part of the arc."""
    n_shown = round(SHOWN_ARCSEC / 0.1)
    first, width = (truth.shape[-1] - n_shown) // 2, n_shown // n_cells
    shown = truth[:, first : first + n_shown, first : first + n_shown]
    return np.asarray(shown.reshape(-1, n_cells, width, n_cells, width).any(axis=(2, 4)))


def _hits(maps: CandidateMaps, truth: Mapping[str, NDArray[np.bool_]]) -> dict[str, float]:
    shown = {"guided": maps.map_guided.astype(float), "occlusion": -maps.map_occlusion.astype(float)}
    return {name: float(hits(shown[name], truth[name], slack).mean()) for name, (_, slack) in CELLS.items()}


def _mean(of_several: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in of_several])) for name in of_several[0]}
