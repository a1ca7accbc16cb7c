"""Measure whether the catalogue's maps of compound lenses point at the arcs of each source, not of the brighter one alone."""

import numpy as np
from numpy.typing import NDArray

from scanner.explain.candidate_maps import CandidateMapper
from scanner.explain.map_grid import SHOWN_ARCSEC
from scanner.explain.sanity import grown, hits
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.sources.shards import Shard, decode_shard, encode_shard
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.benchmarks.sizes import FLAGSHIP
from tests.benchmarks.stored_maps import CELLS
from training.evaluation.arc_truth import LEAST_ARC_SNR, LEAST_CONTRAST

N_SIMULATED, SEED = 300, 78
SOURCES = ("source1", "source2")

Masks = NDArray[np.bool_]
"""`[object, y, x]`."""


def measure() -> dict[str, float]:
    """Measure, for each source, the share of maps whose highest cell off the other source's arcs lies on its own arcs."""
    spec = DatasetSpec(
        n=N_SIMULATED, seed=SEED, geometry="mer10", components=True, kinds=(("compound_arc", 0.5), ("double_ring", 0.5))
    )
    shard = decode_shard(encode_shard(simulate_objects(spec, range(N_SIMULATED))))
    masks = arcs_of_each(shard)
    bright = [is_bright(shard, source, masks[source]) for source in SOURCES]
    chosen = bright[0] & bright[1]
    folder = SHIPPED_DIR / FLAGSHIP
    networks = [(load_network(folder, card), card) for card in read_card(folder).networks]
    maps = CandidateMapper(networks).maps({band: images[chosen] for band, images in shard.stamps.items()})
    shown = {"guided": maps.map_guided.astype(float), "occlusion": -maps.map_occlusion.astype(float)}
    found = {"n_compound_both_bright": float(chosen.sum())}
    for name, (n_cells, slack) in CELLS.items():
        first, second = (on_cells(masks[source][chosen], n_cells) for source in SOURCES)
        for number, (own, other) in enumerate(((first, second), (second, first)), start=1):
            found[f"stored_{name}_hits_source{number}"] = float(hits_beside(shown[name], own, other, slack).mean())
            of_others = hits_beside(np.roll(shown[name], 1, axis=0), own, other, slack)
            found[f"stored_{name}_hits_source{number}_by_others_maps"] = float(of_others.mean())
    return found


def arcs_of_each(shard: Shard) -> dict[str, Masks]:
    """Mark the VIS pixels where each source exceeds the sky's sigma, a share of the lens's light, and the other source."""
    _, sigma = sky_level_and_sigma(shard.stamps["VIS"])
    lights = {source: shard.components[source]["VIS"] for source in SOURCES}
    faintest = np.maximum(sigma[:, None, None], LEAST_CONTRAST * shard.components["lens_light"]["VIS"])
    others = dict(zip(SOURCES, reversed(SOURCES), strict=True))
    return {source: np.asarray((light > faintest) & (light > lights[others[source]])) for source, light in lights.items()}


def is_bright(shard: Shard, source: str, mask: Masks) -> NDArray[np.bool_]:
    """Return whether each object's arcs of a source have the S/N of a bright arc on their own pixels."""
    _, sigma = sky_level_and_sigma(shard.stamps["VIS"])
    light = shard.components[source]["VIS"] * mask
    return np.asarray(np.sqrt((light**2).sum(axis=(1, 2))) / sigma >= LEAST_ARC_SNR)


def on_cells(mask: Masks, n_cells: int) -> Masks:
    """Reduce masks from stamps of 0.1 arcsec to the cells of the middle 8 arcsec that contain a part of them."""
    n_shown = round(SHOWN_ARCSEC / 0.1)
    first, width = (mask.shape[-1] - n_shown) // 2, n_shown // n_cells
    shown = mask[:, first : first + n_shown, first : first + n_shown]
    return np.asarray(shown.reshape(-1, n_cells, width, n_cells, width).any(axis=(2, 4)))


def hits_beside(maps: NDArray[np.floating], own: Masks, other: Masks, slack: int) -> NDArray[np.bool_]:
    """Return, `[object]`, whether the highest cell that is not on the other source's arcs alone lies on this one's."""
    hidden = grown(other, slack) & ~own
    return hits(np.where(hidden, maps.min(axis=(1, 2), keepdims=True), maps), own, slack)
