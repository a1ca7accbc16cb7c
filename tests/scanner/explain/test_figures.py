"""Figures of maps: positions, colours and layers of the things drawn."""

import io
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from PIL import Image

from scanner.explain.explanation import NetworkMaps, cells_arcsec, stamp_side_arcsec
from scanner.explain.figures import Shown, explanation_figure, figure_bytes, pages_bytes, shortened
from scanner.explain.occlusion import MASKS, Masks
from scanner.networks.architectures import ARCHITECTURES, PAPER_NETWORKS
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import draft_network_card
from scanner.vocabulary.geometry import CHALLENGE, MER_10


def stamps_of(geometry):
    rng = np.random.default_rng(2)
    return {band: rng.normal(size=(1, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in geometry.grids.items()}


def maps_of(occlusion, guided, side=10.0, covered=9.6, start=0.0):
    return NetworkMaps("x", side, np.ones(1), occlusion[None], covered, guided[None], guided[None], start)


def figure_of(maps, object_id="a", stamps=None, geometry=MER_10, ensemble="mine"):
    shown = Shown([object_id], stamps or stamps_of(geometry), geometry, ensemble, np.ones(1))
    return explanation_figure(shown, [maps])


def rendered(figure):
    """Return a function from an axis and a position on it to the colour drawn there."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]

    def colour(axis, x, y):
        column, row = axis.transData.transform((x, y))
        return pixels[len(pixels) - 1 - int(row), int(column)]

    return colour


@pytest.fixture
def drawn():
    """A figure of maps with few pixels set; the mask's step leaves an edge out."""
    occlusion, guided = np.zeros((24, 24), np.float32), np.zeros((100, 100), np.float32)
    occlusion[20, 3], occlusion[5, 5], occlusion[6, 6], guided[80, 10] = -1, 0.5, 0.25, 1
    figure = figure_of(maps_of(occlusion, guided), "a$_{x$")
    return [axis.get_images() for axis in figure.axes], figure


def test_maps_are_drawn_at_their_positions(drawn):
    ((picture,), (occlusion,), (guided,)), figure = drawn
    assert {image.origin for image in (picture, occlusion, guided)} == {"lower"}
    for image in (picture, guided):
        assert image.get_extent() == pytest.approx((-5, 5, -5, 5))
    assert occlusion.get_extent() == pytest.approx((-5, 4.6, -5, 4.6))
    for axis in figure.axes:
        assert axis.get_xlim() == axis.get_ylim() == pytest.approx((-5, 5))
    shown, dimmed = np.asarray(guided.get_array()), np.asarray(picture.get_array())
    np.testing.assert_array_equal(shown[80, 10], dimmed[80, 10])
    np.testing.assert_allclose(np.delete(shown.reshape(-1, 3), 8010, 0), 0.15 * np.delete(dimmed.reshape(-1, 3), 8010, 0))


def test_occlusion_cells_are_blue_red_white_or_grey(drawn):
    _, figure = drawn
    colour, axis = rendered(figure), figure.axes[1]

    def of_cell(row, column):
        return colour(axis, -5 + 0.4 * (column + 0.5), -5 + 0.4 * (row + 0.5)).astype(int)

    np.testing.assert_array_equal(of_cell(20, 3), [0, 0, 255])
    # Each side on its own scale.
    np.testing.assert_array_equal(of_cell(5, 5), [255, 0, 0])
    np.testing.assert_allclose(of_cell(6, 6), [255, 127, 127], atol=3)
    np.testing.assert_allclose(of_cell(12, 12), [255, 255, 255], atol=2)
    np.testing.assert_array_equal(colour(axis, 4.8, 0), [204, 204, 204])
    assert axis.get_xlabel() == "-1.0  +0.5"


def test_occlusion_colours_do_not_depend_on_vis():
    """Only the contour lines, which enclose the bright half of VIS, depend on VIS."""
    stamps = stamps_of(MER_10)
    stamps["VIS"][0, 50:] += 1000
    figure = figure_of(
        maps_of(np.full((25, 25), -1, np.float32), np.zeros((100, 100), np.float32), covered=10.0), stamps=stamps
    )
    colour, axis = rendered(figure), figure.axes[1]
    np.testing.assert_array_equal([colour(axis, 1, y) for y in (-3, 3)], [[0, 0, 255]] * 2)
    (lines,) = [one for one in axis.collections if isinstance(one, QuadContourSet)]
    places = np.concatenate([path.vertices for path in lines.get_paths()])
    assert np.abs(places[:, 1]).max() < 0.1
    assert np.ptp(places[:, 0]) > 9


def test_rounding_errors_have_no_colour():
    nothing = maps_of(np.full((24, 24), -1e-6, np.float32), np.zeros((100, 100), np.float32))
    figure = figure_of(nothing)
    np.testing.assert_allclose(rendered(figure)(figure.axes[1], 0.1, 0.1), 255, atol=2)
    assert figure.axes[1].get_xlabel() == "-1e-06  +0.0"


def test_an_empty_guided_map_is_labelled(drawn):
    empty = figure_of(maps_of(np.zeros((24, 24), np.float32), np.zeros((100, 100), np.float32)))
    assert [text.get_text() for text in empty.axes[2].texts] == ["nothing"]
    assert not drawn[1].axes[2].texts


def test_the_figure_explains_its_colours_and_numbers(drawn):
    _, figure = drawn
    assert "blue: supports a lens, red: counts against it" in figure.get_supxlabel().replace("\n", " ")
    assert figure.axes[0].get_title() == "a$_{x$\nmine: p = 1.000"
    (bar,) = figure.axes[0].lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["EUCL J174752.17+660743.0 x", "W" * 9 + "i" * 30])
def test_long_names_keep_their_ends_and_fit(name):
    nothing = maps_of(np.zeros((24, 24), np.float32), np.zeros((100, 100), np.float32))
    figure = figure_of(nothing, name, ensemble=f"a-long-{name}")
    FigureCanvasAgg(figure).draw()
    title = figure.axes[0].title
    assert (title.get_text()[:8], title.get_text().split("\n")[0][-8:]) == (name[:8], name[-8:])
    drawn = title.get_window_extent()
    assert drawn.x0 >= 0
    assert drawn.x1 <= figure.axes[1].title.get_window_extent().x0
    assert shortened(name[:22]) == name[:22]
    assert len(shortened(name)) == 22


def test_a_map_of_a_smaller_field_picks_out_the_middle():
    """NISP stamps are 19.8 arcsec, VIS 20.0: the whole map lies 0.1 arcsec inside."""
    guided = np.zeros((66, 66), np.float32)
    guided[40:50, 30] = 1
    maps = maps_of(np.zeros((66, 66), np.float32), guided, side=19.8, covered=19.8)
    figure = figure_of(maps, geometry=CHALLENGE)
    picture, shown = (np.asarray(figure.axes[i].get_images()[0].get_array()) for i in (0, 2))
    rows, columns = np.nonzero((shown == picture).all(-1) & (picture > 0).any(-1))
    # Pixel k of the map begins 0.1 + 0.3 k arcsec from the edge of VIS, whose pixels are 0.1 arcsec.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1 + 3 * 40, 3 * 50, 1 + 3 * 30, 3 * 31)
    assert figure.axes[1].get_xlim() == pytest.approx((-10, 10))
    assert figure.axes[1].get_images()[0].get_extent() == pytest.approx((-9.9, 9.9, -9.9, 9.9))


@pytest.mark.parametrize(("side", "step"), [(4, 4), (1, 1), (3, 5), (7, 2), (16, 13)])
def test_cells_are_centred_on_their_masks(side, step):
    masks, n_pixels = Masks(side, step), 100
    start, covered = cells_arcsec(masks, n_pixels, 20.0)
    firsts = masks.starts(n_pixels)
    middles = start + (np.arange(len(firsts)) + 0.5) * covered / len(firsts)
    np.testing.assert_allclose(middles, (firsts + side / 2) * 0.2)


def test_the_default_masks_cover_stamps_except_an_edge():
    for name, masks in MASKS.items():
        start, covered = cells_arcsec(masks, ARCHITECTURES[name].input_pixels, 10.0)
        assert start == (masks.side_pixels - masks.step_pixels) / 2 * 10.0 / ARCHITECTURES[name].input_pixels
        assert covered == pytest.approx(10.0 - 2 * start)


def test_the_side_is_that_of_the_bands_read():
    sides = {spec.name: stamp_side_arcsec(draft_network_card(spec, "challenge", {})) for spec in PAPER_NETWORKS}
    assert {name: side for name, side in sides.items() if side != pytest.approx(19.8)} == {
        "OU-VIS": 20.0,
        "OU-66": 20.0,
        "OU-200": 20.0,
    }
    assert {stamp_side_arcsec(card) for card in read_card(SHIPPED_DIR / "mer3-sim").networks} == {10.0}


def page(width, height, colour):
    return Figure(figsize=(width, height), facecolor=colour)


def test_pages_are_stacked_in_png_and_separate_in_pdf():
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


def test_one_png_page_equals_the_figure():
    with Image.open(io.BytesIO(figure_bytes(page(2, 1, "red"), "png"))) as image:
        alone = np.asarray(image.convert("RGB"))
    with Image.open(io.BytesIO(pages_bytes([page(2, 1, "red")], "png"))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), alone)
