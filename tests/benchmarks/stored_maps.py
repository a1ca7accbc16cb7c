"""Do the maps that the catalogue holds point at arcs? Those of the flagship as a whole, on bright simulated lenses."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.explain.candidate_maps import CandidateMapper, CandidateMaps
from scanner.explain.sanity import chance, hits, randomised
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network, read_card
from tests.benchmarks.meaning import N_RANDOMISED, SLACK_PIXELS, bright_lenses
from tests.benchmarks.scan_speed import FLAGSHIP

N_PIXELS, FIRST_PIXEL = 100, 10
"""Of stamps, and the first that the maps show, in both directions."""


def measure() -> dict[str, float]:
    """Share of the maps whose highest cell lies on the arc: trained; with weights never trained; and on others' arcs."""
    stamps, truth = bright_lenses()
    networks = [(load_network(SHIPPED_DIR / FLAGSHIP, card), card) for card in read_card(SHIPPED_DIR / FLAGSHIP).networks]
    others = np.roll(truth, 1, axis=0)
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
    }
    return {
        **{f"stored_{name}_{what}": value for what, of_kinds in found.items() for name, value in of_kinds.items()},
        "stored_guided_hits_at_random": float(chance(truth, SLACK_PIXELS).mean()),
        "stored_occlusion_hits_at_random": float(chance(truth, 4).mean()),
    }


def _hits(maps: CandidateMaps, truth: NDArray[np.bool_]) -> dict[str, float]:
    guided = _on_stamps(maps.map_guided)
    # Half a square of 0.8 arcsec on every side of its middle.
    occlusion = _middles(-maps.map_occlusion.astype(float))
    return {"guided": float(hits(guided, truth, SLACK_PIXELS).mean()), "occlusion": float(hits(occlusion, truth, 4).mean())}


def _on_stamps(maps: NDArray[np.generic]) -> NDArray[np.float64]:
    """`[batch, y, x]` of stamps from maps of cells of two pixels a side."""
    found = np.zeros((len(maps), N_PIXELS, N_PIXELS))
    found[:, FIRST_PIXEL:-FIRST_PIXEL, FIRST_PIXEL:-FIRST_PIXEL] = np.kron(maps, np.ones((1, 2, 2)))
    return found


def _middles(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of cells of eight pixels, each at its middle, and less than any elsewhere."""
    found = np.full((len(maps), N_PIXELS, N_PIXELS), maps.min() - 1)
    at = FIRST_PIXEL + 8 * np.arange(maps.shape[-1]) + 4
    found[:, at[:, None], at[None, :]] = maps
    return found


def _mean(of_several: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in of_several])) for name in of_several[0]}
