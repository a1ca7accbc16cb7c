import numpy as np
import pytest
from astropy.io import fits

from scanner.sources.tiles import discover_tiles
from simulation.injection import cutouts as injected_sets
from simulation.injection import tiles as injected_tiles
from simulation.injection.arcs import inject_arcs
from simulation.optics.psf import MER_PSF_HDUS
from simulation.products.survey_tile import TileSpec, simulate_tile
from tests.simulation.injecting import write_manifest

TILE_ID = "000000007"


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    simulate_tile(TileSpec(tile_id=TILE_ID, n_galaxies=60, side_pixels=900, seed=3), str(folder))
    return discover_tiles(str(folder))[0]


@pytest.fixture
def manifest(tile, tmp_path):
    """Write cutouts of the tile's sources as files; the last has no zero point."""
    return write_manifest(tile, tmp_path, 8)


@pytest.fixture
def psf_file(tmp_path):
    """Write a PSF wider than Euclid's."""
    axis = np.arange(41) - 20
    gauss = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / (2 * 5.0**2)).astype(np.float32)
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(gauss, name=name) for name in MER_PSF_HDUS.values())]
    fits.HDUList(hdus).writeto(tmp_path / "psf.fits")
    return str(tmp_path / "psf.fits")


@pytest.fixture
def systems(monkeypatch):
    """Record the systems with painted arcs in order; the real function draws them."""
    drawn = []

    def remembered(*args, **kwargs):
        made = inject_arcs(*args, **kwargs)
        drawn.append(made.system)
        return made

    for module in (injected_sets, injected_tiles):
        monkeypatch.setattr(module, "inject_arcs", remembered)
    return drawn
