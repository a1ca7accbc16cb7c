"""Figures as files: pages below one another in PNG, one by one in PDF."""

import io
import re

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from scanner.explain.figure_files import figure_bytes, pages_bytes


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
