import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from scanner.pixels.bands import EUCLID
from scanner.pixels.geometry import MER
from scanner.pixels.manifests import read_manifest
from scanner.pixels.shards import decode_shard
from scanner.pixels.tiles import discover_tiles, read_tile_catalogue, tile_cutouts
from simulation.injected_sets import inject_into_cutouts, inject_into_tile
from simulation.injection import InjectionError
from simulation.survey_tile import TileSpec, simulate_tile


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    simulate_tile(TileSpec(tile_id="000000007", n_galaxies=60, side_pixels=900, seed=3), str(folder))
    return discover_tiles(str(folder))[0]


@pytest.fixture
def manifest(tile, tmp_path):
    """Cutouts of the tile's sources as files; the last has no zero point."""
    catalogue = read_tile_catalogue(tile.catalogue)
    lines = ["object_id,VIS,Y,J,H"]
    cutouts = list(tile_cutouts(tile, catalogue, MER))[:8]
    for i, cutout in enumerate(cutouts):
        hdus = [fits.PrimaryHDU()]
        for band in EUCLID:
            hdu = fits.ImageHDU(cutout.stamps[band], name=band)
            hdu.header["PIXSCALE"] = 0.1
            if i < len(cutouts) - 1:
                hdu.header["MAGZERO"] = EUCLID[band].zero_point_ab_mag
            hdus.append(hdu)
        fits.HDUList(hdus).writeto(tmp_path / f"{i}.fits")
        lines.append(f"{i}," + ",".join(f"{i}.fits#{band}" for band in EUCLID))
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return read_manifest(str(path))


def test_a_manifest_becomes_pairs_of_hosts_and_lenses(manifest, tmp_path):
    summary = inject_into_cutouts(manifest, str(tmp_path / "out"), seed=1)
    assert summary.n_injected + len(summary.skipped) == len(manifest)
    assert dict(summary.skipped)["7"].startswith("no_zero_point: ")
    shard = decode_shard((tmp_path / "out" / "shard-00000.parquet").read_bytes())
    assert len(shard.object_ids) == 2 * summary.n_injected > 0
    truth = shard.truth.to_pylist()
    for i in range(0, len(truth), 2):
        host, lens = truth[i], truth[i + 1]
        assert (host["kind"], host["morphology"]) == ("nonlens", "host")
        assert lens["kind"] != "nonlens"
        assert host["index"] == lens["index"]
        added = shard.stamps["VIS"][i + 1] - shard.stamps["VIS"][i]
        assert added.sum() > 0.5 * lens["magnification1"] * EUCLID["VIS"].adu_per_s(lens["source1_mag_vis"])
    again = inject_into_cutouts(manifest, str(tmp_path / "again"), seed=1)
    assert (tmp_path / "again" / "shard-00000.parquet").read_bytes() == (tmp_path / "out" / "shard-00000.parquet").read_bytes()
    assert again.n_injected == summary.n_injected


def test_a_tile_gets_lenses_and_keeps_everything_else(tile, tmp_path):
    summary = inject_into_tile(tile, str(tmp_path), 2, seed=1)
    assert summary.n_injected == 2
    other = discover_tiles(str(tmp_path))[0]
    assert other.tile_id == tile.tile_id
    truth = pq.read_table(tmp_path / tile.tile_id / "truth.parquet").to_pylist()
    catalogue = read_tile_catalogue(other.catalogue)
    places = {int(i): (ra, dec) for i, ra, dec in zip(catalogue.object_ids, catalogue.ra, catalogue.dec, strict=True)}
    assert all(row["object_id"] in places for row in truth)
    for band in EUCLID:
        with fits.open(tile.mosaics[band]) as before, fits.open(other.mosaics[band]) as after:
            added = after[0].data.astype(float) - before[0].data
            for key in ("MAGZERO", "CRVAL1", "CRPIX2", "CD1_1"):
                assert after[0].header[key] == before[0].header[key]
            expected = sum(
                row["magnification1"] * EUCLID[band].adu_per_s(row["source1_mag_vis"]) for row in truth if band == "VIS"
            )
            assert added.sum() > 0.5 * expected
            # Far from the lenses nothing is touched.
            assert np.mean(added == 0) > 0.8
    stamps = list(tile_cutouts(other, catalogue, MER))
    changed = {
        int(i)
        for i, a, b in zip(catalogue.object_ids, stamps, tile_cutouts(tile, catalogue, MER), strict=True)
        if np.abs(a.stamps["VIS"] - b.stamps["VIS"])[80:120, 80:120].max() > 0.01
    }
    assert {row["object_id"] for row in truth} <= changed


def test_what_cannot_be_injected_into_is_said(tile, tmp_path):
    with pytest.raises(InjectionError, match=r"tile 7: \d+ of 500 galaxies could host arcs|tile 000000007"):
        inject_into_tile(tile, str(tmp_path), 500, seed=1)
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"object_id": ["a"], "VIS": ["nowhere.fits"]}), empty)
    with pytest.raises(InjectionError, match="none of 1 cutouts could host arcs; the first, a: missing_file: VIS"):
        inject_into_cutouts(read_manifest(str(empty)), str(tmp_path), seed=1)
