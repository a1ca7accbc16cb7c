"""Classify the images of a lensed source: their number, and whether they make arcs, a quad or a ring."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Grid = NDArray[np.floating]
Morphology = Literal["arc", "quad", "ring"]

MIN_IMAGE_MAGNIFICATION = 0.1
"""Smallest magnification of an image that counts; fainter ones are in a deflector's core."""
_RING_COVERAGE = 0.8
_RING_BRIGHTNESS = 0.12
"""Fraction of its brightest part that a ring reaches along `_RING_COVERAGE` of its azimuths."""
_N_AZIMUTHS = 36
_PHI = (np.arange(_N_AZIMUTHS) + 0.5) * 2 * np.pi / _N_AZIMUTHS
_RADIAL_STEP_ARCSEC = 0.05


def n_images(beta_x: Grid, beta_y: Grid, axis_arcsec: Grid, source_x_arcsec: float, source_y_arcsec: float) -> int:
    """Count the images of a point source, from rays that were shot to its plane.

    Each cell of the grid is cut into two triangles, and those count that are mapped around the source (Schneider, Ehlers &
    Falco 1992, section 10.3). A triangle about the singular centre of a deflector is mapped around much of the source plane
    although there is no image. It differs from real images in the same way as the faint image in a less steep core: it keeps
    its orientation and yet shrinks the light, while real images of positive parity are magnified. So the positions of centres
    are not needed, and those of galaxies in further planes may appear anywhere.

    Args:
        beta_x: `[y, x]`, x in arcsec in the source plane to which `ray_shoot` maps a square grid.
        beta_y: y, likewise.
        axis_arcsec: Coordinates of the grid's columns, and rows; evenly spaced. Images closer to each other, or to a
            deflector's centre, than two steps may be miscounted.
        source_x_arcsec: Position of the point in the source plane.
        source_y_arcsec: Likewise.

    Returns:
        The number of images with a magnification of at least `MIN_IMAGE_MAGNIFICATION`; 1 without lensing.
    """
    rows, columns = np.nonzero(_is_straddled(beta_x, source_x_arcsec) & _is_straddled(beta_y, source_y_arcsec))
    below_x, below_y, above_x, above_y = (
        np.stack([beta[rows + i, columns + j] - source for i, j in corners])
        for corners in (((0, 0), (0, 1), (1, 1)), ((0, 0), (1, 1), (1, 0)))
        for beta, source in ((beta_x, source_x_arcsec), (beta_y, source_y_arcsec))
    )
    # [corner, triangle], anticlockwise in the image plane, about the source
    x, y = np.concatenate([below_x, above_x], axis=1), np.concatenate([below_y, above_y], axis=1)
    next_x, next_y = np.roll(x, -1, axis=0), np.roll(y, -1, axis=0)
    crossed = (y > 0) != (next_y > 0)
    is_right = (x * next_y - next_x * y > 0) == (next_y > y)
    holds_source = np.sum(crossed & is_right, axis=0) % 2 == 1
    twice_area = np.sum(x * next_y - next_x * y, axis=0)[holds_source]
    step = float(axis_arcsec[1] - axis_arcsec[0])
    shrinking = twice_area / step**2  # 1 / magnification
    # The areas of triangles on a fold are inaccurate, hence a limit of 2 instead of 1.
    counts = (shrinking < 2) & (shrinking > -1 / MIN_IMAGE_MAGNIFICATION)
    return int(counts.sum())


def _is_straddled(beta: Grid, source: float) -> NDArray[np.bool_]:
    """Return cells `[y, x]` with corners on both sides of the source in one coordinate."""
    is_above = beta > source
    n_above = is_above[:-1, :-1] + is_above[1:, 1:].astype(np.uint8) + is_above[:-1, 1:] + is_above[1:, :-1]
    return (n_above > 0) & (n_above < 4)


def morphology(
    image: Grid, axis_arcsec: Grid, centre_arcsec: tuple[float, float], n_source_images: int, einstein_radius_arcsec: float
) -> Morphology:
    """Classify the shape of a source's lensed light about the deflector.

    "ring": along 80 % of 36 azimuths about the deflector the light peaks between 0.5 and 1.6 Einstein radii, with more than
    12 % of the brightest peak. Otherwise "quad": four or more images. Otherwise "arc": one arc, or arc and counter-image.

    Args:
        image: `[y, x]`, the light of one source alone, without noise, blurred by the telescope in VIS. (Unblurred, the core
            of a compact source is so bright that all other light hardly counts.)
        axis_arcsec: Coordinates of the image's columns, and rows; evenly spaced.
        centre_arcsec: x and y of the deflector.
        n_source_images: Number of images from `n_images`.
        einstein_radius_arcsec: Einstein radius for this source.
    """
    radii = np.arange(0.5 * einstein_radius_arcsec, 1.6 * einstein_radius_arcsec + _RADIAL_STEP_ARCSEC, _RADIAL_STEP_ARCSEC)
    x = centre_arcsec[0] + radii[:, None] * np.cos(_PHI)
    y = centre_arcsec[1] + radii[:, None] * np.sin(_PHI)
    first, step = float(axis_arcsec[0]), float(axis_arcsec[1] - axis_arcsec[0])
    along_radii = map_coordinates(image, [(y - first) / step, (x - first) / step], order=1)
    brightest = along_radii.max(axis=0)
    # Light that only increases inward is a counter-image near the centre, blurred by the telescope.
    is_ridge = along_radii.argmax(axis=0) > 0
    if np.mean(is_ridge & (brightest > _RING_BRIGHTNESS * brightest.max())) >= _RING_COVERAGE:
        return "ring"
    return "quad" if n_source_images >= 4 else "arc"
