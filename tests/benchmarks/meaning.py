"""Do maps of the flagship point at arcs? On bright simulated lenses, whose lensed light is known, trained and not."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from scanner.explain.explanation import lens_log_odds
from scanner.explain.gradcam import GradCamMapper
from scanner.explain.occlusion import Masks, OcclusionMapper
from scanner.explain.sanity import Truth, chance, hits, randomised, rank_correlation, relevance_mass
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network, read_card
from scanner.pixels.geometry import Stamps
from scanner.pixels.inputs import Inputs, network_input
from scanner.pixels.shards import decode_shard, encode_shard
from simulation.dataset import DatasetSpec, simulate_objects
from tests.benchmarks.scan_speed import FLAGSHIP
from training import arc_truth

N_SIMULATED, SEED = 700, 77
SLACK_PIXELS = 2
"""0.2 arcsec: a VIS PSF."""
MASKS = Masks(8, 4)
N_RANDOMISED = 4


def measure() -> dict[str, float]:
    """Hits of both kinds of map, worst and best network; of randomised networks, of pixels at random, and of others' maps."""
    stamps, truth = bright_lenses()
    near, near_masks = SLACK_PIXELS, MASKS.side_pixels // 2
    others = np.roll(np.arange(len(truth)), 1)
    found: dict[str, list[float]] = {}
    for is_trained, network, inputs in _networks(stamps):
        guided, occlusion = guided_map(network, inputs), occlusion_map(network, inputs)
        kind = "trained" if is_trained else "randomised"
        for name, maps, slack in (("guided", guided, near), ("occlusion", occlusion, near_masks)):
            found.setdefault(f"hits_{name}_{kind}", []).append(float(hits(maps, truth, slack).mean()))
            found.setdefault(f"hits_{name}_{kind}_of_others_arcs", []).append(float(hits(maps[others], truth, slack).mean()))
        if is_trained:
            found.setdefault("relevance_mass_guided_trained", []).append(float(relevance_mass(guided, truth).mean()))
            trained = guided
        else:
            found.setdefault("rank_correlation_guided_randomised", []).append(float(rank_correlation(trained, guided).mean()))
    summary = {
        f"{name}_{which}": float(of(values))
        for name, values in found.items()
        for which, of in (("least", min), ("mean", np.mean))
    }
    return {
        **summary,
        "hits_at_random_guided": float(chance(truth, near).mean()),
        "hits_at_random_occlusion": float(chance(truth, near_masks).mean()),
        "n_bright_lenses": float(len(truth)),
    }


def bright_lenses() -> tuple[Stamps, Truth]:
    """Stamps of lenses, and where their lensed light exceeds the noise in VIS."""
    spec = DatasetSpec(n=N_SIMULATED, seed=SEED, geometry="mer10", components=True)
    shard = decode_shard(encode_shard(simulate_objects(spec, range(N_SIMULATED))))
    return arc_truth.bright_lenses(shard, shard.geometry)


def _networks(stamps: Stamps) -> Iterator[tuple[bool, nn.Sequential, Inputs]]:
    """Each network of the flagship, then the same with weights that were never trained, a few times."""
    for card in read_card(SHIPPED_DIR / FLAGSHIP).networks:
        network = load_network(SHIPPED_DIR / FLAGSHIP, card)
        inputs = network_input(stamps, card.channels, card.input_pixels)
        yield True, network, inputs
        for seed in range(1, N_RANDOMISED + 1):
            yield False, randomised(network, seed), inputs


def guided_map(network: nn.Sequential, inputs: Inputs) -> NDArray[np.float32]:
    """`[batch, y, x]`."""
    return np.asarray(np.maximum(GradCamMapper(network).maps(inputs).guided, 0).sum(axis=1))


def occlusion_map(network: nn.Sequential, inputs: Inputs) -> NDArray[np.float64]:
    """`[batch, y, x]`: what the log odds lose, at the pixel in the middle of each mask; nothing elsewhere."""
    mapper = OcclusionMapper(network, MASKS)
    lost = lens_log_odds(mapper.whole_logits(inputs))[:, None, None] - lens_log_odds(mapper.logits(inputs))
    n_pixels = inputs.shape[-1]
    middles = MASKS.starts(n_pixels) + MASKS.side_pixels // 2
    maps = np.full((len(inputs), n_pixels, n_pixels), lost.min() - 1)
    maps[:, middles[:, None], middles[None, :]] = lost
    return maps
