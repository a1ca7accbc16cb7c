"""Bands are found by name, independently of their order and of missing or extra bands."""

import itertools
import shutil

import numpy as np
import pytest
from astropy.io import fits

from scanner.catalogue.find_units import find_units
from scanner.scan.manifest import score_manifest
from scanner.scan.scoring import CutoutScanner
from scanner.sources.tiles import discover_tiles
from scanner.vocabulary.geometry import CHALLENGE
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned
from tests.tiles import MER_BANDS, write_tile

BANDS = tuple(CHALLENGE.grids)
OTHERS = {
    "a band of another survey": "EUC_MER_BGSUB-MOSAIC-DES-G_TILE000000001-ABC123_20260101T000000.000000Z_00.00.fits",
    "a band between": "EUC_MER_BGSUB-MOSAIC-NIR-K_TILE000000001-ABC123_20260101T000000.000000Z_00.00.fits",
    "a weight map": "EUC_MER_MOSAIC-VIS-RMS_TILE000000001-ABC123_20260101T000000.000000Z_00.00.fits",
}


def mosaic(folder, band):
    (path,) = folder.glob(f"EUC_MER_BGSUB-MOSAIC-{MER_BANDS[band]}_*")
    return path


def scan(folder):
    (unit,) = find_units(str(folder))
    return scanned(unit, CutoutScanner(MeanEnsemble()), "2026-11-24")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Write one object: a file for each band, and files with all bands in every order."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    pixels = {band: rng.exponential(size=(grid.n_pixels,) * 2).astype(np.float32) for band, grid in CHALLENGE.grids.items()}
    hdus = {}
    for band, image in pixels.items():
        head = fits.Header({"PIXSCALE": CHALLENGE.grids[band].pixel_scale_arcsec})
        hdus[band] = fits.ImageHDU(image, head, name=f"{band}_FLUX")
        hdus[band].writeto(folder / f"{band}.fits")
    for i, order in enumerate(itertools.permutations(BANDS)):
        fits.HDUList([fits.PrimaryHDU(), *(hdus[band] for band in order)]).writeto(folder / f"all{i}.fits")
    return folder


def score(folder, columns, text):
    (folder / "m.csv").write_text(f"object_id,{','.join(columns)}\n1,{text}\n")
    return score_manifest(str(folder / "m.csv"), CutoutScanner(MeanEnsemble())).to_pylist()[0]


@pytest.mark.fault(25)
def test_the_order_of_columns_and_of_extensions_does_not_matter(images, measured):
    expected = score(images, BANDS, ",".join(f"{band}.fits" for band in BANDS))
    assert expected["status"] == "scored"
    orders = list(itertools.permutations(BANDS))
    for i, order in enumerate(orders):
        by_column = score(images, order, ",".join(f"{band}.fits" for band in order))
        by_extension = score(images, BANDS, ",".join(f"all{i}.fits#{band}_FLUX" for band in BANDS))
        assert by_column == by_extension == expected
    more = score(images, ("DES_G", *BANDS, "K"), ",".join(["nothing.fits", *(f"{band}.fits" for band in BANDS), ""]))
    assert more == expected | {"DES_G": "nothing.fits", "K": ""}
    swapped = score(images, BANDS, ",".join(f"{band}.fits" for band in ("H", "Y", "J", "VIS")))
    assert swapped["p_A"] != expected["p_A"]
    measured(runs=2 * len(orders), note="every order of four bands, as columns and as extensions: the same scores")


@pytest.mark.fault(25)
@pytest.mark.parametrize("band", BANDS)
def test_a_missing_band_rejects_the_row_by_name(images, band):
    others = [other for other in BANDS if other != band]
    without_column = score(images, others, ",".join(f"{other}.fits" for other in others))
    empty = score(images, BANDS, ",".join("" if other == band else f"{other}.fits" for other in BANDS))
    for row in (without_column, empty):
        assert (row["status"], row["detail"]) == ("rejected:missing_band", f"{band}: no image is named")
        assert row["p_lens"] is None


@pytest.mark.faults
@pytest.mark.fault(25)
def test_mosaics_of_a_tile_are_found_by_band_name(tmp_path):
    write_tile(tmp_path, 1, 5)
    expected = scan(tmp_path)
    assert set(expected["status"].to_pylist()) == {"scored"}
    for name in OTHERS.values():
        shutil.copy(mosaic(tmp_path, "VIS"), tmp_path / name)
    assert scan(tmp_path).equals(expected)
    (tile,) = discover_tiles(str(tmp_path))
    assert sorted(tile.mosaics) == sorted(BANDS)
    (unit,) = find_units(str(tmp_path))
    turned = unit.model_copy(update={"files": dict(reversed(unit.files.items()))})
    assert scanned(turned, CutoutScanner(MeanEnsemble()), "2026-11-24").equals(expected)


@pytest.mark.fault(25)
@pytest.mark.parametrize("band", BANDS)
def test_a_tile_without_a_mosaic_has_every_source_rejected(tmp_path, band):
    write_tile(tmp_path, 1, 3)
    mosaic(tmp_path, band).unlink()
    rows = scan(tmp_path).to_pylist()
    assert [(row["status"], row["detail"]) for row in rows] == [
        ("rejected:missing_band", f"{band}: the tile has no mosaic")
    ] * 3
    assert {row["p_lens"] for row in rows} == {None}
