"""A candidate as review shows it: what is known of it, and its pixels, from a row of the catalogue."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.explain.map_grid import GUIDED_CELLS, OCCLUSION_CELLS, PICTURE_PIXELS

PIXEL_COLUMNS = ("cutout_sigma", "cutout_step", "cutout_rgb", "map_guided", "map_occlusion", "occlusion_step")
"""Columns of which the pixels of a candidate are made."""
BANDS = ("VIS", "Y", "J", "H")
"""Order of the bands in `cutout_sigma`."""


@dataclass(frozen=True)
class CandidatePixels:
    """Images of the middle 8 arcsec of a candidate; the first row is the southernmost, the first column the easternmost."""

    in_sky: NDArray[np.float32] | None
    """`[band, y, x]` in the order VIS, Y, J, H: each in sigma of its own sky, above its sky level. None if not stored."""
    rgb: NDArray[np.uint8]
    """`[y, x, colour]`."""
    guided: NDArray[np.float32]
    """Guided Grad-CAM, `[y, x]`, between 0 and 1."""
    occlusion: NDArray[np.float32]
    """`[y, x]`: change of ln(p/(1-p)) when a square is hidden; negative for squares in favour of a lens."""


def pixels_of(row: Mapping[str, Any]) -> CandidatePixels | None:
    """Return the images of a row of `query(..., maps=True)`; None for a candidate without maps."""
    if row.get("cutout_rgb") is None:
        return None
    n = PICTURE_PIXELS
    stored, step = row.get("cutout_sigma"), row.get("cutout_step")
    has_bands = stored is not None and step is not None
    occlusion = np.asarray(row["map_occlusion"], np.float32) * np.float32(row["occlusion_step"])
    return CandidatePixels(
        np.asarray(stored, np.float32).reshape(len(BANDS), n, n) * np.float32(step) if has_bands else None,
        np.asarray(row["cutout_rgb"], np.uint8).reshape(n, n, 3),
        np.asarray(row["map_guided"], np.float32).reshape(GUIDED_CELLS, GUIDED_CELLS) / np.float32(255),
        occlusion.reshape(OCCLUSION_CELLS, OCCLUSION_CELLS),
    )


def pixel_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table of `PIXEL_COLUMNS` with lists as arrays: as Python objects, they take 100 times the memory."""
    for i in range(table.num_rows):
        cells = {name: table[name][i] for name in table.column_names}
        yield {
            name: None if not cell.is_valid else cell.values.to_numpy() if hasattr(cell, "values") else cell.as_py()
            for name, cell in cells.items()
        }
