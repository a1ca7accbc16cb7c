"""Measure whether the flagship's maps point at arcs, trained and untrained, on simulated lenses of known lensed light."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from scanner.explain.gradcam import GradCamMapper
from scanner.explain.occlusion import Masks, OcclusionMapper
from scanner.explain.sanity import Maps, Truth, chance, hits, hits_of_middle, randomised, rank_correlation, relevance_mass
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.log_odds import lens_log_odds
from scanner.networks.package import load_network
from scanner.preprocess.network_inputs import Inputs, network_input
from scanner.sources.shards import Shard, decode_shard, encode_shard
from scanner.vocabulary.geometry import Stamps
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.benchmarks.sizes import FLAGSHIP
from training.evaluation.arc_truth import arcs, with_bright_arcs

N_SIMULATED, SEED = 700, 77
SLACK_PIXELS = 2
"""Allowed distance from an arc, 0.2 arcsec: about the FWHM of the VIS PSF."""
MASKS = Masks(8, 4)
SLACKS = {"guided": SLACK_PIXELS, "occlusion": MASKS.side_pixels // 2}
N_RANDOMISED = 4
STRICT_CONTRAST = 0.5

Kinds = Mapping[str, Maps]
"""Guided and occlusion maps, `[object, y, x]` each, of the same objects."""


def measure() -> dict[str, float]:
    """Measure the hits of both kinds of map: of networks, flagship, randomised networks, other objects' arcs, and the middle.

    Figures of the flagship as a whole, `_flagship`, use the sums over its networks, and are also given for a stricter truth.
    """
    shard = _simulated()
    stamps, truth = _bright(shard)
    networks = [_made(stamps, at) for at in range(len(read_card(SHIPPED_DIR / FLAGSHIP).networks))]
    flagship, *untrained = (_sum(of_networks) for of_networks in zip(*networks, strict=True))
    strict = arcs(shard, shard.geometry, STRICT_CONTRAST)[with_bright_arcs(shard, arcs(shard, shard.geometry))]
    kept = strict.any(axis=(1, 2))
    whole = _of_flagship(flagship, untrained, truth)
    half = _of_flagship(_only(flagship, kept), [_only(one, kept) for one in untrained], strict[kept])
    return {
        **_of_networks(networks, truth),
        **whole,
        **{f"{name}_contrast_half": value for name, value in half.items()},
        "n_bright_lenses": float(len(truth)),
        "n_bright_lenses_contrast_half": float(kept.sum()),
    }


def bright_lenses() -> tuple[Stamps, Truth]:
    """Return stamps of lenses, band to `[object, y, x]`, and masks of their arcs in VIS, `[object, y, x]`."""
    return _bright(_simulated())


def _simulated() -> Shard:
    spec = DatasetSpec(n=N_SIMULATED, seed=SEED, geometry="mer10", components=True)
    return decode_shard(encode_shard(simulate_objects(spec, range(N_SIMULATED))))


def _bright(shard: Shard) -> tuple[Stamps, Truth]:
    truth = arcs(shard, shard.geometry)
    chosen = with_bright_arcs(shard, truth)
    return {band: images[chosen] for band, images in shard.stamps.items()}, truth[chosen]


def _made(stamps: Stamps, at: int) -> list[Kinds]:
    """Return the maps of a network of the flagship, then those of several copies with weights that were never trained."""
    card = read_card(SHIPPED_DIR / FLAGSHIP).networks[at]
    network = load_network(SHIPPED_DIR / FLAGSHIP, card)
    inputs = network_input(stamps, card.channels, card.input_pixels)
    several = [network, *(randomised(network, seed) for seed in range(1, N_RANDOMISED + 1))]
    return [{"guided": guided_map(one, inputs), "occlusion": occlusion_map(one, inputs)} for one in several]


def _of_networks(networks: Sequence[Sequence[Kinds]], truth: Truth) -> dict[str, float]:
    """Return the least and the mean of the networks for each figure."""
    found: dict[str, list[float]] = {}
    for trained, *untrained in networks:
        for kind, several in (("trained", [trained]), ("randomised", untrained)):
            for name, slack in SLACKS.items():
                shares = [_shares(maps[name], truth, slack) for maps in several]
                found.setdefault(f"hits_{name}_{kind}", []).extend(own for own, _ in shares)
                found.setdefault(f"hits_{name}_{kind}_of_others_arcs", []).extend(of_others for _, of_others in shares)
        guided = trained["guided"]
        found.setdefault("relevance_mass_guided_trained", []).append(float(relevance_mass(guided, truth).mean()))
        alike = [float(rank_correlation(guided, maps["guided"]).mean()) for maps in untrained]
        found.setdefault("rank_correlation_guided_randomised", []).extend(alike)
    return {
        f"{name}_{which}": float(of(values))
        for name, values in found.items()
        for which, of in (("least", min), ("mean", np.mean))
    }


def _of_flagship(trained: Kinds, untrained: Sequence[Kinds], truth: Truth) -> dict[str, float]:
    """Return the shares for the sums over the networks, and the shares that need no map."""
    found: dict[str, float] = {}
    for name, slack in SLACKS.items():
        own, of_others = _shares(trained[name], truth, slack)
        by_chance, by_chance_of_others = np.mean([_shares(maps[name], truth, slack) for maps in untrained], axis=0)
        found |= {
            f"hits_{name}_flagship": own,
            f"hits_{name}_flagship_of_others_arcs": of_others,
            f"hits_{name}_flagship_randomised": float(by_chance),
            f"hits_{name}_flagship_randomised_of_others_arcs": float(by_chance_of_others),
            f"hits_{name}_of_the_middle": float(hits_of_middle(truth, slack).mean()),
            f"hits_at_random_{name}": float(chance(truth, slack).mean()),
        }
    return found


def _shares(maps: Maps, truth: Truth, slack: int) -> tuple[float, float]:
    """Return the share of the maps that hit the arc, and the share that hit the arc of another object."""
    return float(hits(maps, truth, slack).mean()), float(hits(np.roll(maps, 1, axis=0), truth, slack).mean())


def _sum(of_networks: Sequence[Kinds]) -> Kinds:
    return {name: np.sum([maps[name] for maps in of_networks], axis=0) for name in SLACKS}


def _only(maps: Kinds, kept: NDArray[np.bool_]) -> Kinds:
    return {name: some[kept] for name, some in maps.items()}


def guided_map(network: nn.Sequential, inputs: Inputs) -> NDArray[np.float32]:
    """Return the positive Guided Grad-CAM summed over channels, `[batch, y, x]`."""
    return np.asarray(np.maximum(GradCamMapper(network).maps(inputs).guided, 0).sum(axis=1))


def occlusion_map(network: nn.Sequential, inputs: Inputs) -> NDArray[np.float64]:
    """Return the loss of log-odds at the middle pixel of each mask, `[batch, y, x]`; other pixels lie below every loss."""
    mapper = OcclusionMapper(network, MASKS)
    lost = lens_log_odds(mapper.whole_logits(inputs))[:, None, None] - lens_log_odds(mapper.logits(inputs))
    n_pixels = inputs.shape[-1]
    middles = MASKS.starts(n_pixels) + MASKS.side_pixels // 2
    maps = np.full((len(inputs), n_pixels, n_pixels), lost.min() - 1)
    maps[:, middles[:, None], middles[None, :]] = lost
    return maps
