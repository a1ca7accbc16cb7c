"""Occlusion, worked out on paper and compared with the network itself, run on the whole image with each mask laid on it."""

import numpy as np
import pytest
import torch
from torch import nn

from scanner.explain import occlusion
from scanner.explain.occlusion import MASKS, Masks, OcclusionMapper
from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.log_odds import lens_log_odds
from scanner.networks.package import load_network
from scanner.networks.small_networks import CentreCrop
from tests.hand_set_networks import IMAGE, summing_network
from tests.scanner.random_networks import random_network

SHIPPED = [(folder, card) for folder in sorted(SHIPPED_DIR.iterdir()) for card in read_card(folder).networks]
FIRST_BUILT_SO = {card.architecture: card.name for _, card in reversed(SHIPPED)}
"""One network of each architecture; `make test-slow` runs the others, with other weights and channels."""
EACH_SHIPPED = [
    pytest.param(
        folder,
        card,
        id=f"{folder.name}/{card.name}",
        marks=() if card.name in FIRST_BUILT_SO.values() else pytest.mark.slow,
    )
    for folder, card in SHIPPED
]
N_COMPARED = 12


def with_masks(network, image, masks, places):
    """Return the logits of one mask after another, the slow way."""
    found = []
    for y, x in places:
        hidden = image.copy()
        hidden[:, y : y + masks.side_pixels, x : x + masks.side_pixels] = 0
        with torch.no_grad():
            found.append(network(torch.from_numpy(hidden[None]))[0].numpy())
    return np.array(found)


def check(network, image, masks, rng):
    found = OcclusionMapper(network, masks).logits(image[None])[0]
    starts = masks.starts(image.shape[-1])
    assert found.shape[:2] == (len(starts), len(starts))
    ends = [0, len(starts) - 1]
    drawn = rng.integers(0, len(starts), (N_COMPARED, 2)).tolist()
    places = [[i, j] for i in ends for j in ends] + [[ends[i % 2], j] for i, j in drawn[:5]]
    places += [[i, ends[j % 2]] for i, j in drawn[5:10]] + drawn
    places = sorted({(i, j) for i, j in places})
    expected = with_masks(network, image, masks, [(starts[i], starts[j]) for i, j in places])
    # Logits of random networks reach 15.
    atol = 1e-5 * max(1, np.abs(expected).max())
    np.testing.assert_allclose(np.array([found[i, j] for i, j in places]), expected, rtol=1e-5, atol=atol)
    # A mask that changes nothing would make the comparison worthless.
    assert np.ptp(expected, axis=0).max() > 1e-3


@pytest.mark.parametrize("lens_weight", [1.0, -0.5])
def test_hidden_support_lowers_the_log_odds_by_hand(lens_weight):
    """A hidden square takes away its pixels times their weights: of the first 1 * 0 + 3 * 1 + 4 * 4 + 10 * 5 = 69.

    The others take 3 * 2 + 2 * 3 + 10 * 6 + 6 * 7 = 114, 4 * 8 + 10 * 9 + 3 * 12 + 7 * 13 = 249, and
    10 * 10 + 6 * 11 + 7 * 14 + 4 * 15 = 324; together 756. The change is negative where pixels support a lens.
    """
    mapper = OcclusionMapper(summing_network(lens_weight), Masks(2, 2))
    whole = lens_log_odds(mapper.whole_logits(IMAGE))
    assert whole == pytest.approx([756 * lens_weight])
    change = lens_log_odds(mapper.logits(IMAGE))[0] - whole
    np.testing.assert_allclose(change, -lens_weight * np.array([[69, 114], [249, 324]]), rtol=1e-6)


def test_overlapping_masks_hide_single_pixels_by_hand():
    """The nine squares of the image: each takes away four pixels times their weights."""
    mapper = OcclusionMapper(summing_network(), Masks(2, 1))
    lost = 756 - mapper.logits(IMAGE)[0, ..., 1]
    # 1 * 0 + 3 * 1 + 4 * 4 + 10 * 5, 3 * 1 + 3 * 2 + 10 * 5 + 10 * 6, ...
    np.testing.assert_allclose(lost, [[69, 119, 114], [188, 300, 268], [249, 379, 324]], rtol=1e-6)


@pytest.mark.parametrize(("folder", "card"), EACH_SHIPPED)
def test_shipped_networks_give_the_same_logits_mask_by_mask(folder, card, rng):
    image = rng.random((len(card.channels), card.input_pixels, card.input_pixels), dtype=np.float32)
    check(load_network(folder, card), image, MASKS[card.architecture], rng)


# The other architectures have the layers of one of these and other widths.
@pytest.mark.parametrize(
    "architecture", ["ou66", "ou200", "compact", "equivariant", "equivariant_light", "equivariant_middle", "polar"]
)
@pytest.mark.parametrize(("side", "step"), [(3, 5), (7, 6), (16, 13), (61, 3)])
def test_masks_of_any_size_and_step(architecture, side, step, rng):
    """Windows start on even and odd pixels, overlap, end at the last pixel, and fill whole maps."""
    n_pixels = ARCHITECTURES[architecture].input_pixels
    network = random_network(architecture, 2)
    image = rng.normal(size=(2, n_pixels, n_pixels)).astype(np.float32)
    seen = network[0].n_pixels if isinstance(network[0], CentreCrop) else n_pixels
    check(network, image, Masks(side if side < 61 else seen - 9, step), rng)


def test_a_batch_gives_the_logits_of_each_image(rng):
    network = random_network("ou66", 1)
    images = rng.random((3, 1, 66, 66), dtype=np.float32)
    mapper = OcclusionMapper(network, Masks(6, 6))
    together = mapper.logits(images)
    np.testing.assert_array_equal(together, np.concatenate([mapper.logits(image[None]) for image in images]))


def test_the_network_is_not_changed(rng):
    network = random_network("compact", 1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    image = rng.random((1, 1, 100, 100), dtype=np.float32)
    kept = image.copy()
    OcclusionMapper(network, Masks(20, 20)).logits(image)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    np.testing.assert_array_equal(image, kept)


def test_the_defaults_are_the_papers():
    assert (MASKS["ou66"], MASKS["ou200"]) == (Masks(1, 1), Masks(4, 4))
    assert (len(MASKS["ou66"].starts(66)), len(MASKS["ou200"].starts(200))) == (66, 50)


def test_whole_logits_are_those_of_the_network(rng):
    network = random_network("compact", 2)
    images = rng.random((2, 2, 100, 100), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    np.testing.assert_allclose(OcclusionMapper(network, Masks(4, 4)).whole_logits(images), expected, atol=1e-4)


def test_images_smaller_than_the_mask_and_strides_are_refused():
    mapper = OcclusionMapper(random_network("ou66", 1), Masks(70, 1))
    for shape in ((1, 1, 66, 66), (0, 1, 100, 100)):
        with pytest.raises(ValueError, match="at least 70 pixels"):
            mapper.logits(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="stride 1"):
        OcclusionMapper(nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.Flatten(), nn.Linear(9, 2)), Masks(1, 1))


@pytest.mark.parametrize("wrong", [(0, 1), (1, 0)])
def test_empty_masks_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1 pixel"):
        Masks(*wrong)


@pytest.mark.parametrize(
    ("masks", "n_pixels", "expected"),
    [
        (Masks(3, 2), 7, [0, 2, 4]),
        (Masks(3, 2), 8, [0, 2, 4]),
        (Masks(3, 2), 9, [0, 2, 4, 6]),
        (Masks(3, 1), 3, [0]),
        (Masks(3, 1), 2, []),
        (Masks(1, 4), 9, [0, 4, 8]),
    ],
)
def test_masks_lie_wholly_in_the_image(masks, n_pixels, expected):
    assert masks.starts(n_pixels).tolist() == expected


def test_flagship_masks_are_eight_pixels_and_half_overlap():
    assert {masks for name, masks in MASKS.items() if not name.startswith("ou")} == {Masks(8, 4)}
    assert len(MASKS["compact"].starts(100)) == 24
    assert MASKS.keys() == ARCHITECTURES.keys()


def test_a_mask_as_large_as_the_image_hides_everything(rng):
    network = random_network("ou66", 1)
    image = rng.random((1, 1, 66, 66), dtype=np.float32)
    found = OcclusionMapper(network, Masks(66, 5)).logits(image)
    with torch.no_grad():
        nothing = network(torch.zeros(1, 1, 66, 66)).numpy()
    assert found.shape == (1, 1, 1, 2)
    np.testing.assert_allclose(found[0, 0], nothing, rtol=1e-4, atol=1e-5)


def test_masks_may_be_laid_at_given_positions_only(rng):
    network = random_network("ou66", 1)
    images = rng.random((2, 1, 66, 66), dtype=np.float32)
    mapper = OcclusionMapper(network, Masks(7, 15))
    places = np.array([45, 15])
    some, everywhere = mapper.logits(images, places), mapper.logits(images)
    assert everywhere.shape == (2, 4, 4, 2)
    np.testing.assert_allclose(some, everywhere[:, [3, 1]][:, :, [3, 1]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("start", "side", "expected"),
    [((2, 4), 2, 1), ((2, 3), 2, 2), ((3, 3), 1, 1), ((0, 4), 3, 2), ((1, 1), 4, 3), ((0, 0), 8, 4)],
)
def test_windows_after_a_pool_are_no_wider_than_needed(start, side, expected):
    """A window of a map of 8 x 8 pixels changes as many outputs of the pool as there are pairs of pixels that it touches."""
    y, x = (torch.tensor([first]) for first in start)
    window = occlusion._Window(y, x, torch.ones(1, side, side, 1))
    assert occlusion._pooled(window, torch.zeros(8, 8, 1), 4).side == expected


@pytest.mark.parametrize(
    ("at_once", "pixels", "expected"), [(512, 2**18, [9]), (4, 2**18, [4, 4, 1]), (512, 1600, [4, 4, 1]), (512, 1, [1] * 9)]
)
def test_no_more_masks_are_laid_at_once_than_memory_allows(rng, monkeypatch, at_once, pixels, expected):
    monkeypatch.setattr(occlusion, "MASKS_AT_ONCE", at_once)
    monkeypatch.setattr(occlusion, "MAX_MASKED_PIXELS", pixels)
    mapper, sizes = OcclusionMapper(random_network("ou66", 1), Masks(20, 20)), []
    masked = mapper._masked
    mapper._masked = lambda kept, y, x: (sizes.append(len(y)), masked(kept, y, x))[1]
    found = mapper.logits(rng.random((1, 1, 66, 66), dtype=np.float32))
    assert (sizes, found.shape) == (expected, (1, 3, 3, 2))


@pytest.mark.parametrize(
    "strange",
    [
        nn.Conv2d(2, 2, 3, stride=2),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.MaxPool2d(3, 2),
        nn.MaxPool2d(2, 1),
        nn.MaxPool2d(2, 2, 1),
    ],
    ids=str,
)
def test_unsupported_layers_are_refused_at_any_position(strange):
    with pytest.raises(ValueError, match=r"convolutions of stride 1 and pools of 2 pixels, got (Conv2d|MaxPool2d)"):
        OcclusionMapper(nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), strange, nn.Flatten(), nn.Linear(9, 2)), Masks(1, 1))
