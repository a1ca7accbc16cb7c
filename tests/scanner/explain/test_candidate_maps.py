"""Maps and numbers of candidates, compared with captum, with whole forwards with hidden pixels, and with sums over pixels."""

from dataclasses import fields
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.explain.candidate_maps import AT_ONCE, CandidateMapper, CandidateMaps, candidate_mapper
from scanner.explain.gradcam import GradCamMapper
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from scanner.preprocess.colour_picture import composite
from scanner.preprocess.network_inputs import network_input
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import CHALLENGE, GEOMETRIES, MER_10

FLAGSHIP, SEVEN = SHIPPED_DIR / "mer3-sim", SHIPPED_DIR / "ou7-sim"
N = 2 * AT_ONCE + 2


@pytest.fixture(scope="module")
def stamps():
    return {band: images[-N:] for band, images in synthetic_stamps(MER_10, 32).items()}


@pytest.fixture(scope="module")
def maps(stamps):
    return candidate_mapper(FLAGSHIP, read_card(FLAGSHIP)).maps(stamps)


@pytest.fixture(scope="module")
def guided(stamps):
    """Maps of each network, `[batch, channel, y, x]`, by the mapper that is tested against captum."""
    found = []
    for card in read_card(FLAGSHIP).networks:
        inputs = network_input(stamps, card.channels, card.input_pixels)
        found.append((card, np.maximum(GradCamMapper(load_network(FLAGSHIP, card)).maps(inputs).guided.astype(float), 0)))
    return found


def in_cells(values):
    """Sum over 2 x 2 pixels of the middle 80."""
    return values.sum(axis=1)[:, 10:90, 10:90].reshape(N, 40, 2, 40, 2).sum(axis=(2, 4))


def test_guided_grad_cam_is_the_rounded_sum_over_networks(maps, guided):
    expected = sum(in_cells(values) for _, values in guided)
    assert (maps.map_guided.max(axis=(1, 2)) == 255).all()
    assert np.abs(maps.map_guided / 255 - expected / expected.max(axis=(1, 2), keepdims=True)).max() < 0.5 / 255 + 1e-5


def test_grad_cam_covers_the_same_sky(maps, stamps):
    expected = np.zeros((N, 20, 20))
    for card in read_card(FLAGSHIP).networks:
        inputs = network_input(stamps, card.channels, card.input_pixels)
        cam = GradCamMapper(load_network(FLAGSHIP, card)).maps(inputs).cam.astype(float)
        expected += cam[:, 10:90, 10:90].reshape(N, 20, 4, 20, 4).sum(axis=(2, 4))
    assert np.abs(maps.map_cam / 255 - expected / expected.max(axis=(1, 2), keepdims=True)).max() < 0.5 / 255 + 1e-5


def test_numbers_are_sums_over_pixels(maps, guided):
    """The expected sums are taken at full resolution, one pixel after another."""
    whole, core, arc = np.zeros(N), np.zeros(N), np.zeros(N)
    bands = {band: np.zeros(N) for band in ("VIS", "Y", "J", "H")}
    for card, values in guided:
        whole += values.sum(axis=(1, 2, 3))
        for y in range(100):
            for x in range(100):
                radius_arcsec = 0.1 * np.hypot(y - 49.5, x - 49.5)
                here = values[:, :, y, x].sum(axis=1)
                core += here if radius_arcsec < 0.5 else 0
                arc += here if 0.5 <= radius_arcsec < 3 else 0
        for k, channel in enumerate(card.channels):
            bands[channel.band] += values[:, k].sum(axis=(1, 2))
    expected = {"core": core, "arc": arc, **{band.lower(): found for band, found in bands.items()}}
    for name, found in expected.items():
        np.testing.assert_allclose(getattr(maps, f"attribution_{name}"), found / whole, atol=1e-6)
    assert sum(bands.values()) == pytest.approx(whole)


def test_peak_and_agreement(maps, guided):
    cells = [in_cells(values) for _, values in guided]
    for i in range(N):
        y, x = divmod(int(sum(cells)[i].argmax()), 40)
        assert maps.attribution_peak_arcsec[i] == pytest.approx(0.2 * np.hypot(y - 19.5, x - 19.5), abs=1e-6)
        # A network without evidence for a lens does not count in the agreement.
        pairs = [np.corrcoef(a[i].ravel(), b[i].ravel())[0, 1] for a, b in combinations(cells, 2) if a[i].any() and b[i].any()]
        expected = np.mean(pairs) if pairs else np.nan
        assert maps.attribution_agreement[i] == pytest.approx(expected, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize(
    ("package", "name", "side", "pixel_arcsec"),
    [
        (FLAGSHIP, "equivariant-centre", 10, 0.1),
        (SEVEN, "OU-200", 10, 0.1),
        (SEVEN, "OU-66", 3, 20 / 66),
        (SEVEN, "OU-H", 3, 0.3),
    ],
)
def test_occlusion_equals_the_whole_network_with_squares_hidden(package, name, side, pixel_arcsec):
    """The squares lie on whole pixels, nearest to every arcsec."""
    card = read_card(package)
    made = {band: images[-2:] for band, images in synthetic_stamps(GEOMETRIES[card.geometry], 8).items()}
    of = next(network for network in card.networks if network.name == name)
    found = CandidateMapper([(load_network(package, of), of)]).maps(made)
    network, inputs = load_network(package, of), network_input(made, of.channels, of.input_pixels)
    starts = [round(of.input_pixels / 2 + (k - 3.5) / pixel_arcsec - side / 2) for k in range(8)]
    whole = log_odds(network, inputs)
    for i, j in ((0, 0), (0, 7), (7, 0), (7, 7), (3, 4), (2, 6), (5, 4)):
        hidden, y, x = inputs.copy(), starts[i], starts[j]
        hidden[:, :, y : y + side, x : x + side] = 0
        stored = found.map_occlusion[:, i, j] * found.occlusion_step
        assert np.abs(stored - (log_odds(network, hidden) - whole)).max() < 2e-5 + found.occlusion_step.max() / 2
    lowest = (found.map_occlusion * found.occlusion_step[:, None, None]).min(axis=(1, 2))
    np.testing.assert_allclose(found.occlusion_drop, np.maximum(-lowest, 0), atol=found.occlusion_step.max())


def log_odds(network, inputs):
    with torch.inference_mode():
        logits = network(torch.from_numpy(inputs)).double()
    return (torch.logsumexp(logits[:, 1:], 1) - logits[:, 0]).numpy()


def test_cutouts_are_the_composite_of_the_middle(maps, stamps):
    for i in (0, N - 1):
        expected = composite({band: images[i] for band, images in stamps.items()}, 0.1, 8.0)
        assert np.abs(maps.cutout_rgb[i] / 255 - expected).max() <= 0.5 / 255 + 1e-9


def test_stored_pixels_are_the_bands_in_sky(maps, stamps):
    """Each band is within half a unit of its image in sigma of its sky, measured here from the percentiles of a Gaussian."""
    assert maps.cutout_sigma.shape == (N, 4, 80, 80)
    for i in (0, N - 1):
        largest = 0.0
        for band, stored in zip(("VIS", "Y", "J", "H"), maps.cutout_sigma[i], strict=True):
            image = stamps[band][i].astype(float)
            low, middle = np.percentile(image, [10, 40])
            sigma = (middle - low) / (norm.ppf(0.4) - norm.ppf(0.1))
            in_sky = ((image - middle) / sigma + norm.ppf(0.4))[10:-10, 10:-10]
            assert (
                np.abs(stored * maps.cutout_step[i] - in_sky).max() <= 0.5 * maps.cutout_step[i] + 1e-3 * np.abs(in_sky).max()
            )
            largest = max(largest, float(np.abs(in_sky).max()))
        assert maps.cutout_step[i] == pytest.approx(max(0.05, largest / 32767), rel=1e-3)


def test_bright_objects_have_a_larger_unit(stamps):
    bright = {band: images[:1] + 1e5 * (np.arange(100) == 50)[:, None] * images[:1].std() for band, images in stamps.items()}
    found = candidate_mapper(FLAGSHIP, read_card(FLAGSHIP)).maps(bright)
    assert found.cutout_step[0] > 0.05
    assert np.abs(found.cutout_sigma).max() == 32767


def test_the_first_row_is_the_southernmost():
    """A half ring in the north is in the last rows of every image."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:100, :100] - 49.5
    ring = np.exp(-0.5 * ((np.hypot(x, y) - 15) / 1.5) ** 2) * (y > 0)
    light = 60 * np.exp(-np.hypot(x, y) / 3) + 25 * ring
    made = {band: (rng.normal(size=(1, 100, 100)) + light).astype(np.float32) for band in MER_10.grids}
    found = candidate_mapper(FLAGSHIP, read_card(FLAGSHIP)).maps(made)
    for image in (found.cutout_rgb[0].mean(axis=-1), found.cutout_sigma[0, 0], found.cutout_sigma[0, 3], found.map_guided[0]):
        middle = len(image) // 2
        assert image[middle:].mean() > image[:middle].mean()
    assert found.map_guided[0].argmax() // 40 >= 20
    assert found.attribution_peak_arcsec[0] == pytest.approx(1.5, abs=0.4)


def test_maps_do_not_depend_on_the_batch(maps, stamps):
    alone = candidate_mapper(FLAGSHIP, read_card(FLAGSHIP)).maps({band: images[3:4] for band, images in stamps.items()})
    assert np.abs(alone.map_guided[0].astype(int) - maps.map_guided[3]).max() <= 1
    assert alone.attribution_arc[0] == pytest.approx(maps.attribution_arc[3], abs=1e-5)
    changes = [one.map_occlusion[i] * one.occlusion_step[i] for one, i in ((alone, 0), (maps, 3))]
    assert np.abs(changes[0] - changes[1]).max() < 1e-4


def test_threads_side_by_side_make_the_same_maps():
    many = synthetic_stamps(MER_10, 3 * AT_ONCE + 1)
    alone, together = (candidate_mapper(FLAGSHIP, read_card(FLAGSHIP), threads).maps(many) for threads in (1, 3))
    for field in fields(CandidateMaps):
        assert getattr(alone, field.name).tobytes() == getattr(together, field.name).tobytes(), field.name


def test_the_paper_s_networks_have_maps_on_the_same_grid():
    made = {band: images[-2:] for band, images in synthetic_stamps(CHALLENGE, 8).items()}
    found = candidate_mapper(SEVEN, read_card(SEVEN)).maps(made)
    shapes = {column.name: getattr(found, column.name).shape[1:] for column in MAP_COLUMNS}
    assert shapes == {column.name: column.shape for column in MAP_COLUMNS}


def test_the_last_network_makes_the_occlusion_map(maps, stamps):
    of = read_card(FLAGSHIP).networks[-1]
    alone = CandidateMapper([(load_network(FLAGSHIP, of), of)]).maps(stamps)
    assert np.array_equal(alone.map_occlusion, maps.map_occlusion)


def test_networks_without_gradients_give_zeros_and_nan(stamps):
    """All weights are zero, so that nothing has a gradient."""
    networks = [(load_network(FLAGSHIP, card), card) for card in read_card(FLAGSHIP).networks]
    for network, _ in networks:
        for parameter in network.parameters():
            torch.nn.init.zeros_(parameter)
    found = CandidateMapper(networks).maps({band: images[:2] for band, images in stamps.items()})
    assert not found.map_guided.any()
    assert not found.map_cam.any()
    assert not found.map_occlusion.any()
    assert (found.occlusion_step == 0).all()
    assert (found.occlusion_drop == 0).all()
    for name in ("core", "arc", "peak_arcsec", "agreement", "vis", "y", "j", "h"):
        assert np.isnan(getattr(found, f"attribution_{name}")).all()
