"""Figures of maps: what is drawn where, in which colour, and over what."""

import io
import re

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from scanner.explain.explanation import NetworkMaps, cells_arcsec, stamp_side_arcsec
from scanner.explain.figures import explanation_figure, figure_bytes, occlusion_colours, pages_bytes
from scanner.explain.occlusion import MASKS, Masks
from scanner.networks.architectures import ARCHITECTURES, PAPER_NETWORKS
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import draft_network_card, read_card
from scanner.pixels.geometry import CHALLENGE, MER_10


def stamps_of(geometry):
    rng = np.random.default_rng(2)
    return {band: rng.normal(size=(1, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in geometry.grids.items()}


def maps_of(occlusion, guided, side=10.0, covered=9.6, start=0.0):
    return NetworkMaps("x", side, np.ones(1), occlusion[None], covered, guided[None], guided[None], start)


@pytest.fixture
def drawn():
    """One pixel of each map, in the upper left; the mask's step leaves an edge out."""
    occlusion, guided = np.zeros((24, 24), np.float32), np.zeros((100, 100), np.float32)
    occlusion[20, 3], occlusion[5, 5], occlusion[6, 6], guided[80, 10] = -1, 0.5, 0.25, 1
    figure = explanation_figure(["a$_{x$"], np.ones(1), stamps_of(MER_10), MER_10, [maps_of(occlusion, guided)])
    return [axis.get_images() for axis in figure.axes], figure


def test_maps_are_shown_where_they_are(drawn):
    ((picture,), (vis, occlusion), (guided,)), figure = drawn
    assert {image.origin for image in (picture, vis, occlusion, guided)} == {"lower"}
    for image in (picture, vis, guided):
        assert image.get_extent() == pytest.approx((-5, 5, -5, 5))
    assert occlusion.get_extent() == pytest.approx((-5, 4.6, -5, 4.6))
    assert figure.axes[1].get_xlim() == figure.axes[1].get_ylim() == pytest.approx((-5, 5))
    shown, dimmed = np.asarray(guided.get_array()), np.asarray(picture.get_array())
    np.testing.assert_array_equal(shown[80, 10], dimmed[80, 10])
    np.testing.assert_allclose(np.delete(shown.reshape(-1, 3), 8010, 0), 0.15 * np.delete(dimmed.reshape(-1, 3), 8010, 0))


def test_occlusion_lies_over_vis_blue_for_and_red_against_and_nothing_is_transparent(drawn):
    (_, (vis, occlusion), _), _ = drawn
    colours = occlusion.cmap(occlusion.norm(occlusion.get_array()))
    opacity = np.asarray(occlusion.get_alpha())
    np.testing.assert_array_equal(colours[20, 3, :3], [0, 0, 1])
    np.testing.assert_array_equal(colours[5, 5, :3], [1, 0, 0])
    # Each side on its own scale.
    assert (opacity[20, 3], opacity[5, 5], opacity[6, 6]) == pytest.approx((1, 1, 0.5))
    assert np.count_nonzero(opacity) == 3
    assert vis.get_cmap().name == "gray"
    assert vis.get_zorder() == occlusion.get_zorder()


def test_the_grey_is_vis_brighter_where_vis_is():
    stamps = stamps_of(MER_10)
    stamps["VIS"][0, 30, 70] = 1000
    nothing = np.zeros((25, 25), np.float32)
    figure = explanation_figure(["a"], np.ones(1), stamps, MER_10, [maps_of(nothing, np.zeros((100, 100), np.float32))])
    grey = np.asarray(figure.axes[1].get_images()[0].get_array())
    assert np.unravel_index(grey.argmax(), grey.shape) == (30, 70)
    order = np.argsort(stamps["VIS"][0].ravel())
    assert (np.diff(grey.ravel()[order]) >= 0).all()


def test_a_map_of_a_smaller_field_picks_out_the_middle():
    """NISP stamps are 19.8 arcsec, VIS 20.0: all of the map lies 0.1 arcsec inside."""
    guided = np.zeros((66, 66), np.float32)
    guided[40:50, 30] = 1
    maps = maps_of(np.zeros((66, 66), np.float32), guided, side=19.8, covered=19.8)
    figure = explanation_figure(["a"], np.ones(1), stamps_of(CHALLENGE), CHALLENGE, [maps])
    picture, shown = (np.asarray(figure.axes[i].get_images()[0].get_array()) for i in (0, 2))
    rows, columns = np.nonzero((shown == picture).all(-1) & (picture > 0).any(-1))
    # Pixel k of the map begins 0.1 + 0.3 k arcsec from the edge of VIS, whose pixels are 0.1 arcsec.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1 + 3 * 40, 3 * 50, 1 + 3 * 30, 3 * 31)
    assert figure.axes[1].get_xlim() == pytest.approx((-10, 10))
    assert figure.axes[1].get_images()[1].get_extent() == pytest.approx((-9.9, 9.9, -9.9, 9.9))


@pytest.mark.parametrize(("side", "step"), [(4, 4), (1, 1), (3, 5), (7, 2), (16, 13)])
def test_cells_lie_about_the_middles_of_their_masks(side, step):
    masks, n_pixels = Masks(side, step), 100
    start, covered = cells_arcsec(masks, n_pixels, 20.0)
    firsts = masks.starts(n_pixels)
    middles = start + (np.arange(len(firsts)) + 0.5) * covered / len(firsts)
    np.testing.assert_allclose(middles, (firsts + side / 2) * 0.2)


def test_the_default_masks_cover_stamps_but_for_an_edge():
    for name, masks in MASKS.items():
        start, covered = cells_arcsec(masks, ARCHITECTURES[name].input_pixels, 10.0)
        assert start == (masks.side_pixels - masks.step_pixels) / 2 * 10.0 / ARCHITECTURES[name].input_pixels
        assert covered == pytest.approx(10.0 - 2 * start)


def test_the_side_is_that_of_the_bands_that_are_read():
    sides = {spec.name: stamp_side_arcsec(draft_network_card(spec, "challenge", {})) for spec in PAPER_NETWORKS}
    assert {name: side for name, side in sides.items() if side != pytest.approx(19.8)} == {
        "OU-VIS": 20.0,
        "OU-66": 20.0,
        "OU-200": 20.0,
    }
    assert {stamp_side_arcsec(card) for card in read_card(SHIPPED_DIR / "mer3-sim").networks} == {10.0}


def test_colours_are_the_papers():
    norm = occlusion_colours(np.array([-0.5, 0.0, 0.01]))
    blue, red = colormaps["bwr"](norm(np.array([-0.5, 0.01])))[:, :3]
    assert (blue, red) == (pytest.approx([0, 0, 1]), pytest.approx([1, 0, 0]))


def page(width, height, colour):
    return Figure(figsize=(width, height), facecolor=colour)


def test_pages_are_stacked_in_one_picture_or_follow_each_other_in_a_pdf():
    pages = [page(2, 1, "red"), page(1, 2, "blue")]
    with Image.open(io.BytesIO(pages_bytes(pages, "png"))) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (330, 220, 3)
    assert (pixels[:110] == [255, 0, 0]).all()
    assert (pixels[110:, :110] == [0, 0, 255]).all()
    assert (pixels[110:, 110:] == 255).all()
    pdf = pages_bytes([page(2, 1, "red"), page(1, 2, "blue")], "pdf")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 2
    assert pdf == pages_bytes([page(2, 1, "red"), page(1, 2, "blue")], "pdf")
    assert b"CreationDate" not in pdf


def test_one_page_is_the_figure():
    with Image.open(io.BytesIO(figure_bytes(page(2, 1, "red"), "png"))) as image:
        alone = np.asarray(image.convert("RGB"))
    with Image.open(io.BytesIO(pages_bytes([page(2, 1, "red")], "png"))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), alone)
