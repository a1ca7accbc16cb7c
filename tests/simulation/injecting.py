"""Images to inject arcs into, and readers of the output."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from scanner.sources.manifests import read_manifest
from scanner.sources.shards import decode_shard
from scanner.sources.tiles import read_tile_catalogue
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from tests.scanner.tile_rows import tile_cutouts


def write_manifest(tile, folder, n, spoil=lambda _i, _band, image: image, *, scale=0.1, mag_shifts=None, all_zero_points=False):
    """Write cutouts of a tile's sources as files; the last has no zero point unless `all_zero_points`.

    `spoil` changes a cutout's image, `mag_shifts` its zero points by band.
    """
    shifts = mag_shifts or dict.fromkeys(EUCLID, 0.0)
    lines = ["object_id,VIS,Y,J,H"]
    cutouts = list(tile_cutouts(tile, read_tile_catalogue(tile.catalogue), MER))[:n]
    for i, cutout in enumerate(cutouts):
        hdus = [fits.PrimaryHDU()]
        for band in EUCLID:
            hdu = fits.ImageHDU(spoil(i, band, cutout.stamps[band].copy()), name=band)
            hdu.header["PIXSCALE"] = scale
            if all_zero_points or i < len(cutouts) - 1:
                hdu.header["MAGZERO"] = EUCLID[band].zero_point_ab_mag + shifts[band]
            hdus.append(hdu)
        fits.HDUList(hdus).writeto(folder / f"{i}.fits")
        lines.append(f"{i}," + ",".join(f"{i}.fits#{band}" for band in EUCLID))
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return read_manifest(str(path))


def with_mosaic(tile, folder, band, change):
    """Return the tile with one mosaic changed, in another folder."""
    path = Path(tile.mosaics[band])
    target = folder / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with fits.open(path, memmap=False) as hdus:
        change(hdus).writeto(target, checksum=True)
    return replace(tile, mosaics=MappingProxyType({**tile.mosaics, band: str(target)}))


def pairs(path):
    """Yield host and lens of each pair in a shard: stamps and truth."""
    shard = decode_shard(Path(path).read_bytes())
    truth = shard.truth.to_pylist()
    for i in range(0, len(truth), 2):
        host, lens = ({band: stamps[j] for band, stamps in shard.stamps.items()} for j in (i, i + 1))
        yield host, lens, truth[i], truth[i + 1]


def tile_truth(folder):
    return pq.read_table(Path(folder) / "truth.parquet").to_pylist()


def assert_same_truth(truth, other):
    """Check that two truths describe the same light; floats may differ, since the last bits of pixels do."""
    assert set(truth) == set(other)
    for name, value in other.items():
        assert truth[name] == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value), name


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def lensed_flux(system, truth, band):
    """Return the magnified flux of a system's sources in ADU/s, without the different magnifications of clumps."""
    sources = ((truth["magnification1"], system.source1), (truth["magnification2"], system.source2))
    return sum(magnification * light.sed.flux_adu_per_s(band) for magnification, lights in sources for light in lights)
