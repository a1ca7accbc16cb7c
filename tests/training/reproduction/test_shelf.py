"""Tests that figures are kept until what they show changes, and stay small."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from training.errors import TrainingError
from training.reproduction.results import Picture
from training.reproduction.shelf import MAX_BYTES, Shelf, encoded


def noise_figure(inches):
    figure = Figure(figsize=(inches, inches))
    FigureCanvasAgg(figure)
    side = int(inches * 110)
    figure.figimage(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8))
    return figure


@pytest.fixture
def drawn():
    return []


@pytest.fixture
def draw(drawn):
    def draw():
        drawn.append(1)
        return noise_figure(1)

    return draw


def test_a_figure_is_kept_until_its_origin_changes(tmp_path, draw, drawn):
    for n_drawn, origin in ((1, "a"), (1, "a"), (2, "b"), (2, "b")):
        shelf = Shelf(tmp_path / "figures", tmp_path)
        assert shelf.picture("4", "x.png", "text", origin, draw) == Picture(figure="4", file="x.png", text="text")
        assert len(drawn) == n_drawn
    (tmp_path / "figures" / "x.png").unlink()
    shelf.picture("4", "x.png", "text", "b", draw)
    assert len(drawn) == 3


def test_a_figure_that_fails_is_drawn_again(tmp_path, draw, drawn):
    shelf = Shelf(tmp_path / "figures", tmp_path)

    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        shelf.picture("4", "x.png", "text", "a", fail)
    shelf.picture("4", "x.png", "text", "a", draw)
    assert len(drawn) == 1


def test_a_large_picture_loses_quality_not_pixels():
    content = encoded(noise_figure(6), "x.jpg")
    assert len(content) <= MAX_BYTES
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (660, 660))


def test_a_picture_that_stays_too_large_is_an_error():
    with pytest.raises(TrainingError, match=r"x\.png: must have at most 300000 bytes"):
        encoded(noise_figure(6), "x.png")
