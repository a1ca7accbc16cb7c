import io

import matplotlib.image
import numpy as np

from simulation.products.texture_sheet import MOST_SHOWN, texture_sheet_png
from simulation.textures.library import Specimen
from tests.simulation.textures_made import lumpy_texture


def sheet(n):
    """Return the picture of n specimens, `[y, x]` in grey."""
    specimens = [Specimen(lumpy_texture(seed), 0.1, None, "made.fits", 0, 0) for seed in range(n)]
    return matplotlib.image.imread(io.BytesIO(texture_sheet_png(specimens)), format="png")[..., :3].mean(axis=2)


def n_dark_squares(picture):
    """Return the number of runs of dark pixels along the column of the first picture of each row, and along its row."""
    is_dark = picture < 0.02
    row = is_dark[np.argmax(is_dark.sum(axis=1))]
    return int(np.sum(np.diff(row.astype(int)) == 1))


def test_a_sheet_shows_every_texture():
    assert n_dark_squares(sheet(3)) == 3
    heights = [sheet(n).shape[0] for n in (8, 9, 17)]
    assert heights[1] - heights[0] == heights[2] - heights[1] > 200


def test_a_sheet_of_many_textures_stays_small():
    assert sheet(MOST_SHOWN).shape == sheet(2 * MOST_SHOWN).shape
