"""Figures of maps: positions, colours and words of the things drawn."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import QuadContourSet

from scanner.explain.explanation import NetworkMaps, cells_arcsec, stamp_side_arcsec
from scanner.explain.figures import Shown, explanation_figure, shortened
from scanner.explain.occlusion import MASKS, Masks
from scanner.networks.architectures import ARCHITECTURES, PAPER_NETWORKS
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import draft_network_card
from scanner.preprocess.residual import residual_in_sky, residual_picture
from scanner.vocabulary.geometry import CHALLENGE, MER_10


def stamps_of(geometry, n=1):
    rng = np.random.default_rng(2)
    return {band: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in geometry.grids.items()}


def maps_of(occlusion, guided, side=10.0, covered=9.6, start=0.0, name="x"):
    return NetworkMaps(name, side, np.full(1, 0.97), occlusion[None], covered, guided[None], guided[None], start)


def figure_of(*maps, object_id="a", stamps=None, geometry=MER_10, ensemble="mine", **words):
    shown = Shown([object_id], stamps or stamps_of(geometry), geometry, ensemble, np.full(1, 0.25), **words)
    return explanation_figure(shown, maps)


def nothing(name="x"):
    return maps_of(np.zeros((24, 24), np.float32), np.zeros((100, 100), np.float32), name=name)


def axis_of(figure, title):
    (axis,) = [axis for axis in figure.axes if axis.get_title() == title]
    return axis


def words_of(axis):
    return "\n".join(text.get_text() for text in axis.texts)


def words_on(figure):
    texts = [text.get_text() for text in figure.texts] + [words_of(axis) for axis in figure.axes]
    return " ".join(" ".join(texts).split())


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
    occlusion[20, 3], occlusion[5, 5], occlusion[6, 6], guided[80:82, 10:12] = -1, 1, 0.5, 1
    return figure_of(maps_of(occlusion, guided), object_id="a$_{x$")


def test_maps_are_drawn_at_their_positions(drawn):
    occlusion, guided = axis_of(drawn, "x\np 0.970"), next(axis for axis in drawn.axes if "Guided" in words_of(axis))
    assert {image.origin for axis in drawn.axes for image in axis.get_images()} == {"lower"}
    assert occlusion.get_images()[0].get_extent() == pytest.approx((-5, 4.6, -5, 4.6))
    panels = [axis for axis in drawn.axes if axis.get_images()]
    assert len(panels) == 5
    for axis in panels:
        assert axis.get_xlim() == axis.get_ylim() == pytest.approx((-5, 5))
    colour = rendered(drawn)
    assert colour(guided, -3.9, 3.1).sum() > 600
    assert colour(guided, 3.9, 3.1).sum() == colour(guided, -3.9, -3.1).sum() == 3


def test_occlusion_cells_are_blue_red_white_or_grey(drawn):
    colour, axis = rendered(drawn), axis_of(drawn, "x\np 0.970")

    def of_cell(row, column):
        return colour(axis, -5 + 0.4 * (column + 0.5), -5 + 0.4 * (row + 0.5)).astype(int)

    np.testing.assert_array_equal(of_cell(20, 3), [0, 0, 255])
    np.testing.assert_array_equal(of_cell(5, 5), [255, 0, 0])
    np.testing.assert_allclose(of_cell(6, 6), [255, 127, 127], atol=3)
    np.testing.assert_allclose(of_cell(12, 12), [255, 255, 255], atol=2)
    np.testing.assert_array_equal(colour(axis, 4.8, 0), [204, 204, 204])
    assert "-1  +1" in words_of(axis)


def test_all_maps_have_one_scale(drawn):
    """The same change has the same colour in the maps of every network, and the colour bar states it."""
    weak, strong = np.full((24, 24), -0.5, np.float32), np.full((24, 24), -1, np.float32)
    guided = np.ones((100, 100), np.float32)
    figure = figure_of(maps_of(weak, guided, name="weak"), maps_of(strong, guided * 7, name="strong"))
    colour = rendered(figure)
    at = {name: colour(axis_of(figure, f"{name}\np 0.970"), 0.3, 2.3).astype(int) for name in ("weak", "strong")}
    np.testing.assert_array_equal(at["strong"], [0, 0, 255])
    np.testing.assert_allclose(at["weak"], [96, 96, 255], atol=6)
    norms = {axis.get_images()[0].norm.vmin for axis in figure.axes if axis.get_images() and axis.get_facecolor()[0] == 0.8}
    assert norms == {-0.8, 0}
    labels = {axis.get_xlabel() for axis in figure.axes}
    assert {"change of the log odds of a lens", "percent of the map in a square arcsec"} <= labels


def test_the_mean_of_several_networks_comes_first():
    figure = figure_of(nothing("one"), nothing("two"), nothing("three"))
    titles = [axis.get_title().split("\n")[0] for axis in figure.axes if axis.get_title()]
    assert titles == ["H, Y + J, VIS", "VIS without the galaxy", "these 3 networks", "one", "two", "three"]


def test_occlusion_colours_do_not_depend_on_vis():
    """Only the contour lines, which enclose the bright half of VIS, depend on VIS."""
    stamps = stamps_of(MER_10)
    stamps["VIS"][0, 50:] += 1000
    maps = maps_of(np.full((25, 25), -1, np.float32), np.zeros((100, 100), np.float32), covered=10.0)
    figure = figure_of(maps, stamps=stamps)
    colour, axis = rendered(figure), axis_of(figure, "x\np 0.970")
    np.testing.assert_array_equal([colour(axis, 1, y) for y in (-2, 3)], [[0, 0, 255]] * 2)
    (lines,) = [one for one in axis.collections if isinstance(one, QuadContourSet)]
    places = np.concatenate([path.vertices for path in lines.get_paths()])
    assert np.abs(places[:, 1]).max() < 0.1
    assert np.ptp(places[:, 0]) > 9


def test_rounding_errors_have_no_colour():
    figure = figure_of(maps_of(np.full((24, 24), -1e-6, np.float32), np.zeros((100, 100), np.float32)))
    axis = axis_of(figure, "x\np 0.970")
    np.testing.assert_allclose(rendered(figure)(axis, 0.1, 0.1), 255, atol=2)
    assert "-1e-06  +0" in words_of(axis)


def test_an_empty_guided_map_is_labelled(drawn):
    assert "Guided Grad-CAM: nothing" in words_on(figure_of(nothing()))
    assert "nothing" not in words_on(drawn)


def test_pictures_have_one_scale_and_a_bar(drawn):
    stamps = stamps_of(MER_10)
    panels = [axis for axis in drawn.axes if axis.lines]
    assert [axis.get_images()[0].get_extent() for axis in panels] == [pytest.approx((-5, 5, -5, 5))] * 3
    assert [np.ptp(axis.lines[0].get_xdata()) for axis in panels] == pytest.approx([1] * 3)
    shown = axis_of(drawn, "VIS without the galaxy").get_images()[0].get_array()
    np.testing.assert_array_equal(shown, residual_picture(residual_in_sky(stamps["VIS"][0], 0.1)))


def test_the_figure_explains_its_colours_and_numbers():
    notes = [["bands are misaligned: H 0.6 arcsec from VIS"]]
    figure = figure_of(
        nothing(), prior="if 1 object in 2000 is a lens", kinds=["double_ring"], notes=notes, numbers="p of a network: as is."
    )
    words = words_on(figure)
    for said in (
        "hiding this square makes a lens less likely (blue) or more likely (red)",
        "p_lens 0.250 by mine",
        "if 1 object in 2000 is a lens",
        "kind: compound lens with two rings",
        "bands are misaligned: H 0.6 arcsec from VIS",
        "p of a network: as is.",
        "Bar: 1 arcsec",
    ):
        assert said in words
    red = [text.get_text() for axis in figure.axes for text in axis.texts if text.get_color() == "red"]
    assert " ".join(red) == notes[0][0]


@pytest.mark.parametrize("name", ["EUCL J174752.17+660743.0 x", "W" * 9 + "i" * 30])
@pytest.mark.parametrize("geometry", [MER_10, CHALLENGE])
def test_captions_fit_below_and_beside_the_pictures(name, geometry):
    words = {"prior": "465 times the chance of any object, if 1 object in 2000 is a lens", "kinds": ["compound_arc"]}
    notes = [["bands are misaligned: H 0.6 arcsec from VIS"]]
    figure = figure_of(nothing(), object_id=name, geometry=geometry, ensemble="a-long-name", notes=notes, **words)
    FigureCanvasAgg(figure).draw()
    (caption,) = [axis for axis in figure.axes if "p_lens" in words_of(axis)]
    panel = caption.get_window_extent()
    boxes = [text.get_window_extent() for text in caption.texts]
    assert "".join(words_of(caption).split()).startswith("".join(name.split()))
    assert all(box.x0 >= panel.x0 and box.x1 <= panel.x1 + 2 and box.y0 >= panel.y0 for box in boxes)
    assert all(above.y0 > below.y0 + 5 for above, below in pairwise(boxes))


def test_long_names_of_networks_keep_their_ends():
    name = "equivariant-centre-with-a-suffix"
    assert shortened(name) == "equivariant\u2026h-a-suffix"
    assert shortened(name[:22]) == name[:22]


def test_objects_stand_below_one_another():
    """The second object is drawn as it is drawn alone."""
    stamps = stamps_of(MER_10, 2)
    occlusion, guided = np.random.default_rng(0).normal(size=(2, 24, 24)), np.ones((2, 100, 100))
    maps = NetworkMaps("x", 10.0, np.array([0.1, 0.2]), occlusion, 9.6, guided, guided)
    both = explanation_figure(Shown(["a", "b"], stamps, MER_10, "mine", np.array([0.1, 0.2])), [maps])
    tops = [axis.get_position().y1 for axis in both.axes if axis.get_title().startswith("x")]
    assert [axis.get_title() for axis in both.axes if axis.get_title().startswith("x")] == ["x\np 0.100", "x\np 0.200"]
    assert tops[0] > tops[1] + 0.3
    for row, title in enumerate(("x\np 0.100", "x\np 0.200")):
        np.testing.assert_array_equal(axis_of(both, title).get_images()[0].get_array(), occlusion[row])


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


@pytest.mark.parametrize("n_notes", [0, 1, 3])
def test_captions_stay_in_their_place(n_notes):
    note = (
        "misregistered: Y 2.67, J 2.68, H 2.67 arcsec from VIS; excluded by compact-sky, the early exit; asks no other network"
    )
    figure = figure_of(
        nothing(),
        object_id="102022474_NEG590266584471556814",
        prior="if one object in 2000 is a lens",
        notes=[[note] * n_notes],
    )
    (axis,) = [axis for axis in figure.axes if "mine" in words_of(axis)]
    panel = axis.get_window_extent()
    for text in axis.texts:
        drawn = text.get_window_extent(figure.canvas.get_renderer())
        assert panel.x0 <= drawn.x0 < drawn.x1 <= panel.x1
        assert panel.y0 <= drawn.y0 < drawn.y1 <= panel.y1
