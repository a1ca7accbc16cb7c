"""Pixel grids that networks and shards share.

Conventions: images are `[y, x]`, batches `[batch, y, x]`, network inputs `[batch, band, y, x]`; sky up; pixel centres at
integers, so the centre of an n-pixel image is (n - 1) / 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""One image, `[y, x]`: surface brightness or flux per pixel."""

Stamps = Mapping[str, NDArray[np.float32]]
"""Images by band name, `[batch, y, x]`; every band has the same batch size."""


@dataclass(frozen=True)
class Grid:
    """A square pixel grid centred on the object."""

    n_pixels: int
    pixel_scale_arcsec: float

    @property
    def side_arcsec(self) -> float:
        return self.n_pixels * self.pixel_scale_arcsec


@dataclass(frozen=True)
class Geometry:
    """The grid of each band."""

    name: str
    grids: Mapping[str, Grid]


def _geometry(name: str, vis: Grid, nisp: Grid) -> Geometry:
    return Geometry(name, MappingProxyType({"VIS": vis, "Y": nisp, "J": nisp, "H": nisp}))


CHALLENGE = _geometry("challenge", Grid(200, 0.1), Grid(66, 0.3))
"""Stamps of 20 arcsec with native pixels (Wilde et al. 2022, section 2.1)."""

MER_PIXEL_ARCSEC = 0.1
"""Pixel scale of Euclid MER mosaics, in every band."""

MER = _geometry("mer", Grid(200, MER_PIXEL_ARCSEC), Grid(200, MER_PIXEL_ARCSEC))
"""Stamps of Euclid MER mosaics: all bands lie on the VIS grid."""

MER_10 = _geometry("mer10", Grid(100, MER_PIXEL_ARCSEC), Grid(100, MER_PIXEL_ARCSEC))
"""The central 10 arcsec of MER stamps, which hold a galaxy-scale lens."""

GEOMETRIES: Mapping[str, Geometry] = MappingProxyType({g.name: g for g in (CHALLENGE, MER, MER_10)})
