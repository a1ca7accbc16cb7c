"""Compare occlusion maps by incremental inference with captum's, on the same networks, images and threads."""

import time
from functools import partial

import numpy as np
import torch
from captum.attr import Occlusion

from scanner.explain.occlusion import MASKS, Masks, OcclusionMapper
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from tests.benchmarks.rates import in_turns, over, seconds_of, spreads
from tests.benchmarks.sizes import CORES, FLAGSHIP, SEVEN

NETWORKS = {
    "ou200": (SEVEN, "OU-200", MASKS["ou200"]),
    "ou66": (SEVEN, "OU-66", MASKS["ou66"]),
    "compact": (FLAGSHIP, "compact-sky", Masks(4, 4)),
}
"""Networks with their masks, which lie side by side: where masks overlap, captum returns means."""
AT_ONCE = 64
"""Number of windows that captum passes to the network at a time; more or fewer are slower."""


def measure(rounds: int) -> dict[str, float]:
    """Measure in turns how much faster our map of one image is than captum's, and the largest difference of the two maps."""
    torch.set_num_threads(CORES)
    found: dict[str, float] = {}
    for architecture, (package, name, masks) in NETWORKS.items():
        card = next(network for network in read_card(SHIPPED_DIR / package).networks if network.name == name)
        network = load_network(SHIPPED_DIR / package, card).to(memory_format=torch.channels_last)
        shape = (1, len(card.channels), card.input_pixels, card.input_pixels)
        image = np.random.default_rng(7).random(shape, dtype=np.float32)
        mapper = OcclusionMapper(network, masks)
        masked = mapper.logits(image)
        with torch.no_grad():
            whole = network(torch.from_numpy(image)).numpy()
        maps: list[np.ndarray] = []
        ours, captums = partial(mapper.logits, image), partial(_captums, network, image, masks, maps)
        runs = in_turns({"ours": partial(seconds_of, ours), "captum": captums}, rounds)
        apart = max(float(np.abs((whole - masked[0])[..., 1] - theirs).max()) for theirs in maps)
        found |= spreads(
            {
                f"occlusion_s_{architecture}": runs["ours"],
                f"occlusion_over_captum_{architecture}": over(runs["captum"], runs["ours"]),
            }
        )
        found[f"occlusion_largest_difference_{architecture}"] = apart
    return found


def _captums(network: torch.nn.Module, image: np.ndarray, masks: Masks, maps: list[np.ndarray]) -> float:
    """Return the seconds that captum takes; append to `maps` the drop of the second output at each mask, `[y, x]`."""
    window = (image.shape[1], masks.side_pixels, masks.side_pixels)
    step = (image.shape[1], masks.step_pixels, masks.step_pixels)
    x = torch.from_numpy(image).to(memory_format=torch.channels_last)
    with torch.no_grad():
        network(x.expand(AT_ONCE, -1, -1, -1))
    begun = time.perf_counter()
    with torch.no_grad():
        drop = Occlusion(network).attribute(
            x, sliding_window_shapes=window, strides=step, baselines=0, target=1, perturbations_per_eval=AT_ONCE
        )
    seconds = time.perf_counter() - begun
    # Masks lie side by side, so that each pixel belongs to one mask.
    starts = masks.starts(image.shape[-1])
    maps.append(drop[0, 0].numpy()[np.ix_(starts, starts)])
    return seconds
