"""Grad-CAM, compared with captum on one image at a time and with gradients worked out by hand."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop, LayerGradCam
from scipy.ndimage import map_coordinates
from torch import nn

from scanner.explain import gradcam
from scanner.explain.gradcam import GradCamMapper
from scanner.networks.architectures import ARCHITECTURES
from scanner.networks.folded import folded_network
from scanner.networks.log_odds_layer import LensLogOdds
from scanner.networks.polar_networks import INNERMOST_PIXELS, N_ANGLES, N_RADII, MeanAndPeak
from scanner.networks.small_networks import CentreCrop, MeanOverOrientations
from tests.hand_set_networks import FEATURE_MAP, IMAGE, PIXEL_WEIGHTS, summing_network
from tests.scanner.random_networks import random_network

CROP = 2
"""Number of pixels on each side that the small networks crop."""


def inside(architecture, images):
    """Return the pixels that a network sees."""
    first = random_network(architecture, 1)[0]
    if not isinstance(first, CentreCrop):
        return images
    margin = (images.shape[-1] - first.n_pixels) // 2
    return images[..., margin:-margin, margin:-margin]


def stretched(cam, n_pixels):
    """Stretch captum's coarse map over the image; that of a polar network by SciPy's interpolation."""
    if cam.shape[-1] == cam.shape[-2]:
        return nn.functional.interpolate(cam, (n_pixels, n_pixels), mode="bilinear")
    (n_radii, n_angles), cells = cam.shape[-2:], cam[0, 0].detach().numpy()
    y, x = np.mgrid[:n_pixels, :n_pixels] - (n_pixels - 1) / 2
    outwards = np.log(np.hypot(x, y) / INNERMOST_PIXELS) / (2 * np.pi / N_ANGLES) / N_RADII
    rows = np.clip(outwards * n_radii - 0.5, 0, n_radii - 1)
    columns = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * n_angles - 0.5
    # SciPy's "grid-wrap" takes both axes alike, so the angles are repeated three times and the middle copy is read.
    found = map_coordinates(np.tile(cells, 3), [rows, columns + n_angles], order=1)
    return torch.from_numpy(np.where(outwards <= 1, found, 0).astype(np.float32))[None, None]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_guided_grad_cam_of_each_image_equals_captums(architecture, rng):
    n_pixels = ARCHITECTURES[architecture].input_pixels
    images = rng.normal(size=(4, 3, n_pixels, n_pixels)).astype(np.float32)
    # With some random weights all last feature maps count against a lens.
    networks = (random_network(architecture, 3, seed) for seed in range(20))
    network, found = next((n, maps) for n in networks if (maps := GradCamMapper(n).maps(images)).guided.any())
    layers = [layer for layer in folded_network(network) if not isinstance(layer, CentreCrop)]
    model = nn.Sequential(*layers, LensLogOdds())
    last = next(layer for layer in reversed(layers[: _first_after_maps(layers)]) if isinstance(layer, nn.ReLU))
    for i, image in enumerate(inside(architecture, torch.from_numpy(images))):
        gradient = GuidedBackprop(model).attribute(image[None].clone())[0]
        cam = LayerGradCam(model, last).attribute(image[None].clone(), relu_attributions=True)
        cam = stretched(cam, image.shape[-1])[0, 0]
        expected = gradient * cam
        scale = float(expected.abs().max())
        np.testing.assert_allclose(inside(architecture, found.guided[i]), expected.detach(), atol=2e-5 * scale, rtol=1e-4)
        np.testing.assert_allclose(inside(architecture, found.cam[i]), cam.detach(), atol=2e-5 * float(cam.max()), rtol=1e-4)


def _first_after_maps(layers):
    """Return the place of the first layer that sees a whole map: the last convolution of oriented networks, or a flattening."""
    return next(
        i
        for i, layer in enumerate(layers)
        if isinstance(layer, nn.Flatten | MeanAndPeak)
        or any(isinstance(later, MeanOverOrientations) for later in layers[i + 2 : i + 3])
    )


@pytest.mark.parametrize("architecture", ["ou66", "equivariant"])
def test_maps_do_not_depend_on_the_batch(architecture, rng):
    n_pixels = ARCHITECTURES[architecture].input_pixels
    images = rng.random((5, 2, n_pixels, n_pixels), dtype=np.float32)
    mapper = GradCamMapper(random_network(architecture, 2))
    together = mapper.maps(images)
    for i in range(5):
        alone = mapper.maps(images[i : i + 1])
        np.testing.assert_allclose(together.guided[i], alone.guided[0], rtol=1e-4, atol=1e-6 * np.abs(alone.guided).max())
        np.testing.assert_allclose(together.cam[i], alone.cam[0], rtol=1e-4, atol=1e-6 * alone.cam.max())


def test_guided_grad_cam_by_hand():
    """Each cell of the feature map raises the log-odds by 1 per unit, so its weight is 1, and the map is its own Grad-CAM.

    Stretched from 3 to 4 pixels, which are 3/4 of a cell wide, the middles of the pixels lie at cells -1/8, 5/8, 11/8 and 17/8;
    the outer two take the values of the outermost cells. The map rises by 40 a row and by 10 a column.
    """
    maps = GradCamMapper(summing_network()).maps(IMAGE)
    cells = np.array([0, 5 / 8, 11 / 8, 2])
    np.testing.assert_allclose(maps.cam[0], FEATURE_MAP[0, 0] + 40 * cells[:, None] + 10 * cells, rtol=1e-6)
    np.testing.assert_allclose(maps.guided[0, 0], maps.cam[0] * PIXEL_WEIGHTS, rtol=1e-6)


def test_evidence_against_a_lens_is_not_in_grad_cam():
    maps = GradCamMapper(summing_network(-1.0)).maps(IMAGE)
    assert not maps.cam.any()
    assert not maps.guided.any()


def test_grad_cam_of_a_network_whose_gradients_are_known():
    """One kernel doubles, and the output sums its map over all pixels: the map's weight is 1, and it is twice the image."""
    convolution, reads = nn.Conv2d(1, 1, 1, bias=False), nn.Linear(36, 2, bias=False)
    nn.init.constant_(convolution.weight, 2.0)
    nn.init.constant_(reads.weight, 1.0)
    nn.init.constant_(reads.weight[0], 0.0)
    network = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), reads)
    image = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6) - 10
    found = GradCamMapper(network).maps(image)
    np.testing.assert_allclose(found.cam, np.maximum(2 * image[0], 0), rtol=1e-6)
    np.testing.assert_allclose(found.guided, np.where(image > 0, 2.0, 0.0) * found.cam[:, None], rtol=1e-6)


def test_threads_may_share_a_mapper(rng):
    mapper = GradCamMapper(random_network("ou66", 2))
    images = [rng.random((2, 2, 66, 66), dtype=np.float32) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(mapper.maps, images))
    for image, maps in zip(images, found, strict=True):
        np.testing.assert_array_equal(maps.guided, mapper.maps(image).guided)


def test_inputs_are_not_changed(rng):
    images = rng.random((2, 1, 66, 66), dtype=np.float32)
    before = images.copy()
    GradCamMapper(random_network("ou66", 1)).maps(images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("others", [[], [nn.Conv2d(2, 2, 1), nn.ReLU()]])
def test_networks_whose_gradients_cannot_be_guided_are_refused(others):
    with pytest.raises(ValueError, match=r"nn\.ReLU modules, got SiLU"):
        GradCamMapper(nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU(), *others, nn.Flatten(), nn.Linear(32, 2)))


def test_maps_work_in_inference_mode_and_end_at_the_crop(rng):
    mapper = GradCamMapper(random_network("compact", 2))
    images = rng.normal(size=(2, 2, 100, 100)).astype(np.float32)
    expected = mapper.maps(images)
    with torch.inference_mode():
        found = mapper.maps(images)
    np.testing.assert_array_equal(found.guided, expected.guided)
    edge = np.ones((100, 100), bool)
    edge[CROP:-CROP, CROP:-CROP] = False
    assert not found.guided[..., edge].any()
    assert not found.cam[..., edge].any()


def test_cam_reads_the_last_small_convolution_and_is_never_negative():
    """The network has two kernels of one pixel, then one as large as the map, which keeps no positions."""
    first, second, whole = (nn.Conv2d(1, 1, n, bias=False) for n in (1, 1, 6))
    for layer, value in ((first, 1.0), (second, 3.0), (whole, 1.0)):
        nn.init.constant_(layer.weight, value)
    reads = nn.Linear(1, 2, bias=False)
    image = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6)
    for sign in (1.0, -1.0):
        nn.init.constant_(reads.weight[0], 0.0)
        nn.init.constant_(reads.weight[1], sign)
        network = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), whole, nn.ReLU(), nn.Flatten(), reads)
        found = GradCamMapper(network).maps(image)
        # The weight of the second map is `sign`; the guided gradient of a pixel is 1 * 3 * 1, where anything is positive.
        np.testing.assert_allclose(found.cam, np.maximum(sign * 3 * image[0], 0), rtol=1e-6)
        np.testing.assert_allclose(found.guided[:, 0], found.cam * (3 if sign > 0 else 0), rtol=1e-6)


@pytest.mark.parametrize(("side", "is_small"), [(5, True), (6, False)])
def test_feature_maps_come_from_kernels_of_at_most_five_pixels(side, is_small):
    layers = [nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Conv2d(1, 1, side), nn.ReLU(), nn.Flatten(), nn.Linear(1, 2)]
    assert gradcam._last_feature_maps(layers) is layers[3 if is_small else 1]


def test_the_network_is_not_changed(rng):
    network = random_network("ou66", 1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    GradCamMapper(network).maps(rng.random((1, 1, 66, 66), dtype=np.float32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
