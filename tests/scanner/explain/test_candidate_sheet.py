import numpy as np
import pandas as pd
import pytest

from scanner.explain.candidate_sheet import MOST_ROWS, candidate_sheet, write_candidate_sheet
from scanner.explain.figure_files import FigureError

WHITE = 254
"""Least value of a channel of white: the middle of the colour map is 1 from it."""


def row(**changes):
    """Return a candidate whose picture is red at the upper left, and whose map is negative there and positive below."""
    picture, guided, occlusion = np.zeros((80, 80, 3), np.uint8), np.zeros((40, 40), np.uint8), np.zeros((8, 8), np.int16)
    picture[60:, :20] = 255, 0, 0
    guided[30:, :10] = 255
    occlusion[6:, :2], occlusion[:2, :2] = -32767, 16384
    maps = {"cutout_rgb": picture.ravel(), "map_guided": guided.ravel().tolist(), "map_occlusion": occlusion.ravel().tolist()}
    known = {"candidate_id": "EUCL J1", "p_lens": 0.25, "subclass": "double_ring", "occlusion_step": 1e-4}
    return {**known, **maps, **changes}


def panels(figure):
    """Return, for each panel in turn, a function from the place in it (x to the right, y up, 0 to 1) to a colour."""
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3]

    def colour_in(axis):
        box = axis.get_window_extent()

        def colour(x, y):
            return tuple(image[int(len(image) - (box.y0 + y * box.height)), int(box.x0 + x * box.width)].tolist())

        return colour

    return [colour_in(axis) for axis in figure.axes]


def texts(figure):
    return [text.get_text() for text in figure.texts] + [text.get_text() for axis in figure.axes for text in axis.texts]


def test_blue_supports_a_lens_and_zero_is_white():
    picture, guided, occlusion = panels(candidate_sheet([row()]))
    assert picture(0.1, 0.9) == (255, 0, 0)
    assert picture(0.7, 0.7) == (0, 0, 0)
    assert sum(guided(0.7, 0.7)) < 15
    assert sum(guided(0.1, 0.9)) > 600
    assert occlusion(0.1, 0.9) == (0, 0, 255)
    assert min(occlusion(0.5, 0.6)) >= WHITE
    red, green, blue = occlusion(0.1, 0.1)
    assert (red, green) == (255, blue)
    assert 120 < green < 135  # half of the largest change


@pytest.mark.parametrize(("value", "expected"), [(-5000, (0, 0, 255)), (5000, (255, 0, 0))])
def test_zero_stays_white_where_all_changes_have_one_sign(value, expected):
    changes = np.zeros(64, np.int16)
    changes[0] = value
    *_, occlusion = panels(candidate_sheet([row(map_occlusion=changes)]))
    assert occlusion(0.06, 0.06) == expected
    assert min(occlusion(0.5, 0.5)) >= WHITE


def test_the_caption_and_the_key_say_what_is_shown():
    said = texts(candidate_sheet([row(truth="nonlens")]))
    assert {"EUCL J1", "p_lens 0.250  \u00b7  double ring  \u00b7  truth: no lens", "1\u2033", "\u00b13.3"} <= set(said)
    assert any("blue: hiding this square makes a lens less likely" in line for line in said)
    assert any("red: hiding this square makes a lens more likely" in line for line in said)
    assert "\u00b10.001" in texts(candidate_sheet([row(occlusion_step=0.0)]))
    assert any("p_lens 2.5e-05" in line for line in texts(candidate_sheet([row(p_lens=2.5e-5)])))
    assert any("p_lens > 0.999" in line for line in texts(candidate_sheet([row(p_lens=0.99997)])))


def test_the_bar_is_one_arcsec_of_eight():
    (line,) = candidate_sheet([row()]).axes[0].lines
    left, right = candidate_sheet([row()]).axes[0].get_xlim()
    assert np.ptp(line.get_xdata()) / (right - left) == pytest.approx(1 / 8)


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA])
def test_captions_leave_null_cells_out(null):
    said = texts(candidate_sheet([row(p_lens=null, truth=null)]))
    assert "no score  \u00b7  double ring" in said


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA, np.ma.masked_all((8, 8))])
def test_a_row_without_maps_has_empty_panels(null):
    figure = candidate_sheet([row(map_occlusion=null), row()])
    assert texts(figure).count("no maps stored") == 3
    assert [bool(axis.images) for axis in figure.axes] == [False] * 3 + [True] * 3


def test_panels_of_many_candidates_do_not_overlap():
    figure = candidate_sheet([row()] * 5)
    boxes = [axis.get_window_extent() for axis in figure.axes]
    assert len(boxes) == 15
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(figure.bbox.fully_containsx(b.x0) and figure.bbox.fully_containsy(b.y1) for b in boxes)
    assert all(box.width == pytest.approx(box.height) for box in boxes)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "1 to 24 candidates, got 0"),
        ([row()] * (MOST_ROWS + 1), "got 25"),
        ([{"candidate_id": "EUCL J1"}], "no column cutout_rgb, map_guided, map_occlusion, occlusion_step: read candidates"),
        ([row(map_guided=[1, 2])], "map_guided must hold 40 x 40 numbers, got 2"),
        ([row(cutout_rgb="[0 0 0 ... 255]")], r"must hold 80 x 80 x 3 numbers, got the text '\[0 0 0"),
    ],
)
def test_rows_that_cannot_be_drawn_are_named(rows, says):
    with pytest.raises(FigureError, match=says):
        candidate_sheet(rows)


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF")])
def test_equal_rows_give_equal_files(tmp_path, name, begins):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_candidate_sheet([row()], tmp_path / folder / name)
    content = (tmp_path / "one" / name).read_bytes()
    assert content.startswith(begins)
    assert content == (tmp_path / "two" / name).read_bytes()


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(FigureError, match=r"must end in \.png or \.pdf, got .*a\.jpg"):
        write_candidate_sheet([row()], tmp_path / "a.jpg")


def test_a_notebook_shows_the_figure():
    assert candidate_sheet([row()])._repr_png_().startswith(b"\x89PNG")
