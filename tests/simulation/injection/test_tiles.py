import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from flows.commands.inject import inject
from scanner.sources.tiles import discover_tiles, read_tile_catalogue
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from simulation.injection.arcs import InjectionError
from simulation.injection.cutouts import OutputError
from simulation.injection.tiles import inject_into_tile
from simulation.products.survey_tile import TileSpec, simulate_tile
from tests.scanner.tile_rows import tile_cutouts
from tests.simulation.injecting import contents, lensed_flux, tile_truth, with_mosaic

TILE_ID = "000000007"


def test_a_tile_gets_lenses_and_keeps_everything_else(tile, systems, tmp_path):
    summary = inject_into_tile(tile, str(tmp_path), 2, seed=1)
    assert summary.n_injected == 2
    other = discover_tiles(str(tmp_path))[0]
    assert other.tile_id == tile.tile_id
    truth = tile_truth(tmp_path / tile.tile_id)
    catalogue = read_tile_catalogue(other.catalogue)
    places = {int(i): (ra, dec) for i, ra, dec in zip(catalogue.object_ids, catalogue.ra, catalogue.dec, strict=True)}
    assert all(row["object_id"] in places for row in truth)
    for band in EUCLID:
        with fits.open(tile.mosaics[band]) as before, fits.open(other.mosaics[band], checksum=True) as after:
            added = after[0].data.astype(float) - before[0].data
            for key in ("MAGZERO", "CRVAL1", "CRPIX2", "CD1_1"):
                assert after[0].header[key] == before[0].header[key]
            assert "seed 1, up to 2 lenses" in str(after[0].header["HISTORY"])
            expected = sum(lensed_flux(system, row, band) for system, row in zip(systems, truth, strict=True))
            assert added.sum() == pytest.approx(expected, rel=0.1)
            # Pixels far from the lenses are unchanged.
            assert np.mean(added == 0) > 0.8
    stamps = list(tile_cutouts(other, catalogue, MER))
    changed = {
        int(i)
        for i, a, b in zip(catalogue.object_ids, stamps, tile_cutouts(tile, catalogue, MER), strict=True)
        if np.abs(a.stamps["VIS"] - b.stamps["VIS"])[80:120, 80:120].max() > 0.01
    }
    assert {row["object_id"] for row in truth} <= changed


def test_masked_pixels_of_tiles_get_no_arcs(tile, tmp_path):
    """The whole tile has stripes, some of masked pixels, some of NaN."""

    def stripe(hdus):
        hdus[0].data[::25] = 0
        hdus[0].data[:, ::199] = np.nan
        return hdus

    for band in EUCLID:
        tile = with_mosaic(tile, tmp_path / "in", band, stripe)
    summary = inject_into_tile(tile, str(tmp_path / "out"), 3, seed=1)
    assert summary.n_injected == 3
    for band, uri in discover_tiles(str(tmp_path / "out"))[0].mosaics.items():
        before, after = fits.getdata(tile.mosaics[band]), fits.getdata(uri)
        lost = (before == 0) | ~np.isfinite(before)
        np.testing.assert_array_equal(after[lost], before[lost])
        assert np.all(np.isfinite(after[~lost]) & (after[~lost] != 0))
        assert np.count_nonzero(after[~lost] != before[~lost]) > 1000


def test_a_tile_takes_all_lenses_that_fit_with_reasons_otherwise(tile, tmp_path):
    summary = inject_into_tile(tile, str(tmp_path), 500, seed=1)
    assert 5 < summary.n_injected < 60
    assert summary.n_injected + len(summary.skipped) == 60
    reasons = {reason.partition(", got ")[0] for _, reason in summary.skipped}
    assert {"lenses must be 12 arcsec apart", "a host's VIS magnitude must be in [16.0, 23.5]"} <= reasons
    truth = pq.read_table(tmp_path / tile.tile_id / "truth.parquet")
    catalogue = read_tile_catalogue(tile.catalogue)
    chosen = np.isin(catalogue.object_ids, truth["object_id"].to_numpy())
    x, y = WCS(fits.getheader(tile.mosaics["VIS"])).all_world2pix(catalogue.ra[chosen], catalogue.dec[chosen], 0)
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    assert 120 <= apart.min() < 240


def test_a_poor_tile_does_not_keep_others_from_lenses(tile, tmp_path):
    simulate_tile(TileSpec(tile_id="000000008", n_galaxies=0, n_single=1, side_pixels=300, seed=3), str(tmp_path / "in"))
    poor = discover_tiles(str(tmp_path / "in"))[0]
    Path(poor.mosaics["J"]).unlink()
    shutil.copytree(Path(tile.catalogue).parent, tmp_path / "in" / TILE_ID)
    seen = []
    said = inject(str(tmp_path / "in"), str(tmp_path / "out"), 4, 1, None, lambda *report: seen.append(report))
    assert (said["tiles"], said["injected"], said["asked_for"]) == (1, 4, 8)
    assert said["tiles_without_arcs"] == "tile 000000008 must have a mosaic of VIS, Y, J, H, J missing"
    assert seen[-1] == (8, 8)
    assert seen == sorted(seen)


def test_a_tile_with_a_damaged_catalogue_keeps_no_other_away(tile, tmp_path):
    simulate_tile(TileSpec(tile_id="000000008", n_galaxies=0, n_single=1, side_pixels=300, seed=3), str(tmp_path / "in"))
    Path(discover_tiles(str(tmp_path / "in"))[0].catalogue).write_bytes(b"")
    shutil.copytree(Path(tile.catalogue).parent, tmp_path / "in" / TILE_ID)
    said = inject(str(tmp_path / "in"), str(tmp_path / "out"), 4, 1, None, lambda *_: None)
    assert (said["tiles"], said["injected"]) == (1, 4)
    assert "TILE000000008" in said["tiles_without_arcs"]


def test_the_same_tile_again_changes_nothing_and_another_is_refused(tile, psf_file, tmp_path):
    out = tmp_path / "out"
    first = inject_into_tile(tile, str(out), 2, seed=1)
    before = contents(out)
    assert inject_into_tile(tile, str(out), 2, seed=1) == first
    other = with_mosaic(tile, tmp_path / "other", "H", lambda hdus: hdus[0].data.__setitem__((0, 0), 1.0) or hdus)
    for images, n, seed, psf in ((tile, 2, 2, None), (tile, 3, 1, None), (other, 2, 1, None), (tile, 2, 1, psf_file)):
        with pytest.raises(OutputError, match=rf"truth\.parquet was not made from these images with seed {seed} and n {n}"):
            inject_into_tile(images, str(out), n, seed, psf)
    assert contents(out) == before


@pytest.mark.parametrize("n_left", [1, 3, 4, 5])
def test_a_killed_tile_resumes_only_with_the_same_arguments(tile, tmp_path, n_left):
    out = tmp_path / "out"
    files = inject_into_tile(tile, str(out), 2, seed=1).files
    whole = contents(out)
    for uri in files[n_left:]:
        Path(uri).unlink()
    left = contents(out)
    for n, seed in ((2, 2), (3, 1)):
        with pytest.raises(OutputError, match="was not made from these images"):
            inject_into_tile(tile, str(out), n, seed)
    assert contents(out) == left
    inject_into_tile(tile, str(out), 2, seed=1)
    assert contents(out) == whole


def test_a_tile_does_not_overwrite_its_source_or_other_files(tile, tmp_path):
    shutil.copytree(Path(tile.catalogue).parent, tmp_path / TILE_ID)
    copied = discover_tiles(str(tmp_path))[0]
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"truth\.parquet was not made"):
        inject_into_tile(copied, str(tmp_path), 2, seed=1)
    (tmp_path / TILE_ID / "truth.parquet").unlink()
    with pytest.raises(OutputError, match=r"\.fits was not made"):
        inject_into_tile(copied, str(tmp_path), 2, seed=1)
    assert {**before, **contents(tmp_path)} == before


def test_other_hdus_of_a_mosaic_are_kept(tile, tmp_path):
    def second(hdus):
        image = fits.ImageHDU(hdus[0].data, hdus[0].header, name="SCI")
        return fits.HDUList([fits.PrimaryHDU(), image, fits.ImageHDU(np.arange(6.0), name="MORE")])

    changed = with_mosaic(tile, tmp_path / "in", "Y", second)
    summary = inject_into_tile(changed, str(tmp_path / "out"), 2, seed=1)
    plain = inject_into_tile(tile, str(tmp_path / "plain"), 2, seed=1)
    with fits.open(summary.files[1], checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "MORE"]
        np.testing.assert_array_equal(hdus[1].data, fits.getdata(plain.files[1]))
        np.testing.assert_array_equal(hdus[2].data, np.arange(6.0))


def test_a_given_psf_blurs_the_arcs(tile, psf_file, tmp_path):
    plain = inject_into_tile(tile, str(tmp_path / "plain"), 1, seed=1)
    wide = inject_into_tile(tile, str(tmp_path / "wide"), 1, seed=1, psf_uri=psf_file)
    before = fits.getdata(tile.mosaics["VIS"])
    peaks = [(fits.getdata(summary.files[0]) - before).max() for summary in (wide, plain)]
    assert peaks[0] < 0.7 * peaks[1]


def scaled(hdus):
    for key in ("CD1_1", "CD2_2"):
        hdus[0].header[key] *= 3
    return hdus


def moved(hdus):
    hdus[0].header["CRPIX1"] += 7
    return hdus


def without(key):
    def change(hdus):
        del hdus[0].header[key]
        return hdus

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (scaled, r"J: EUC_MER_\S+\.fits\[PRIMARY\]: pixels must be 0\.1 arcsec, got 0\.3"),
        (moved, r"J\S+\.fits\[PRIMARY\]: must lie within 0\.5 px of VIS, got a shift of 7\.0 px"),
        (
            lambda hdus: fits.HDUList([fits.PrimaryHDU(hdus[0].data[:800], hdus[0].header)]),
            r"J\S+\.fits\[PRIMARY\]: must have the shape of VIS, \(900, 900\), got \(800, 900\)",
        ),
        (lambda _: fits.HDUList([fits.PrimaryHDU()]), r"J: EUC_MER_\S+\.fits: no 2-D image; shapes of its images: none"),
        (without("MAGZERO"), r"J: EUC_MER_\S+\[PRIMARY\]: MAGZERO must be a finite number, got None"),
        (without("CTYPE1"), r"J: EUC_MER_\S+\[PRIMARY\]: neither a celestial WCS nor PIXSCALE in the header"),
    ],
)
def test_a_mosaic_that_cannot_be_used_is_named(tile, tmp_path, change, says):
    changed = with_mosaic(tile, tmp_path / "in", "J", change)
    with pytest.raises(InjectionError, match=f"^{says}" if says.startswith("J:") else says):
        inject_into_tile(changed, str(tmp_path / "out"), 2, seed=1)
    assert not (tmp_path / "out").exists()


def test_a_tile_without_hosts_is_an_error(tile, tmp_path):
    simulate_tile(TileSpec(tile_id="000000009", n_galaxies=3, side_pixels=400, seed=3), str(tmp_path / "in"))
    small = discover_tiles(str(tmp_path / "in"))[0]
    for band in EUCLID:
        small = with_mosaic(small, tmp_path / "empty", band, lambda hdus: hdus[0].data.fill(0) or hdus)
    said = r"^tile 000000009: 0 of 3 galaxies could host arcs; the first, -?\d+: at most 20% of VIS may be masked"
    with pytest.raises(InjectionError, match=said):
        inject_into_tile(small, str(tmp_path / "out"), 1, seed=1)
