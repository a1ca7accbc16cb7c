"""FITS files become objects: by extensions, by FILTER, by names of files."""

import pytest
from astropy.io import fits

from scanner.sources.cutout_files import objects_of_files
from scanner.sources.manifests import manifest_cutouts
from scanner.sources.object_tables import ManifestError
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import Rejection
from tests.cutouts import image, write_band, write_cutout


def references(manifest, folder):
    cells = zip(*manifest.references.values(), strict=True)
    rows = [tuple(cell and cell.replace(f"{folder}/", "") for cell in row) for row in cells]
    return dict(zip(manifest.object_ids.to_pylist(), rows, strict=True))


def test_extensions_name_the_bands_of_an_object(tmp_path):
    uri = write_cutout(tmp_path / "102_NEG63.fits.gz")
    manifest = objects_of_files([uri], [uri])
    named = tuple(f"102_NEG63.fits.gz#{name}_FLUX" for name in ("VIS", "NIR_Y", "NIR_J", "NIR_H"))
    assert references(manifest, tmp_path) == {"102_NEG63": named}
    assert manifest.notes == ["guessed: VIS = VIS_FLUX, Y = NIR_Y_FLUX, J = NIR_J_FLUX, H = NIR_H_FLUX"]
    assert (manifest.ra, manifest.dec) == ([pytest.approx(150)], [pytest.approx(2)])
    (cutout,) = manifest_cutouts(manifest, MER_10)
    assert cutout.notes == tuple(manifest.notes)
    assert cutout.stamps["J"].tobytes() == image(2)[10:110, 10:110].tobytes()


def test_filters_name_extensions_that_share_a_name(tmp_path):
    hdus = [fits.PrimaryHDU()]
    for i, band in enumerate(("NIR_H", "VIS")):
        hdus.append(fits.ImageHDU(image(i), fits.Header({"FILTER": band}), name="SCI"))
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    manifest = objects_of_files([str(tmp_path / "a.fits")], ())
    assert references(manifest, tmp_path) == {"a": ("a.fits#2", None, None, "a.fits#1")}


def test_files_of_one_band_each_are_grouped_by_name(tmp_path):
    names = ["17_VIS", "17_NIR-Y", "17_NIR-J", "17_NIR-H", "17_VIS_rms", "18-VIS", "18-H", "19/VIS", "19/H", "20_VIS"]
    files = [write_band(tmp_path / f"{name}.fits", i) for i, name in enumerate(names)]
    manifest = objects_of_files(files, ())
    assert references(manifest, tmp_path) == {
        "17": tuple(f"17_{name}.fits#PRIMARY" for name in ("VIS", "NIR-Y", "NIR-J", "NIR-H")),
        "18": ("18-VIS.fits#PRIMARY", None, None, "18-H.fits#PRIMARY"),
        "19": ("19/VIS.fits#PRIMARY", None, None, "19/H.fits#PRIMARY"),
        "20_VIS": ("20_VIS.fits#PRIMARY", None, None, None),
    }
    assert manifest.notes[1] == "guessed: VIS = 18-VIS.fits, H = 18-H.fits"
    assert {len(manifest.bands(row)) for row in range(4)} == {4, 2, 1}
    assert manifest.skipped == [str(tmp_path / "17_VIS_rms.fits")]


def test_two_files_of_one_band_are_two_objects(tmp_path):
    files = [write_band(tmp_path / f"{name}.fits", FILTER="VIS") for name in ("a", "a_VIS")]
    assert references(objects_of_files(files, ()), tmp_path) == {
        "a": ("a.fits#PRIMARY", None, None, None),
        "a_VIS": ("a_VIS.fits#PRIMARY", None, None, None),
    }


def test_an_object_that_cannot_be_guessed_is_rejected(tmp_path):
    (tmp_path / "cut.fits").write_bytes((tmp_path / write_band(tmp_path / "x_VIS.fits")).read_bytes()[:3000])
    fits.BinTableHDU.from_columns([fits.Column("a", "K", array=[1])]).writeto(tmp_path / "table.fits")
    names = ("x_VIS.fits", "table.fits", "cut.fits", "gone.fits")
    files = [*(str(tmp_path / name) for name in names), write_band(tmp_path / "other.fits")]
    manifest = objects_of_files(files, ())
    assert manifest.object_ids.to_pylist() == ["x_VIS", "cut", "gone", "other"]
    rows = manifest_cutouts(manifest, MER_10)
    reasons = [str(row) for row in rows if isinstance(row, Rejection)]
    assert reasons[0] == "missing_band: Y: no image is named"
    assert reasons[1].startswith("fits_truncated: VIS: cut.fits")
    assert reasons[2:] == [
        "missing_file: VIS: gone.fits: no such file",
        "missing_extension: VIS: other.fits: no extension 'VIS'; it has PRIMARY",
    ]


def test_a_damaged_file_stays_the_band_of_its_name(tmp_path):
    files = [write_band(tmp_path / f"17_{name}.fits") for name in ("NIR-H", "NIR-J", "NIR-Y", "VIS")]
    (tmp_path / "17_NIR-H.fits").write_bytes(b"<html>")
    manifest = objects_of_files(files, ())
    names = ("17_VIS.fits#PRIMARY", "17_NIR-Y.fits#PRIMARY", "17_NIR-J.fits#PRIMARY", "17_NIR-H.fits")
    assert references(manifest, tmp_path) == {"17": names}
    (row,) = manifest_cutouts(manifest, MER_10)
    assert str(row).startswith("fits_unreadable: H: 17_NIR-H.fits")


@pytest.mark.parametrize("at", range(3))
def test_a_file_of_unknown_band_replaces_no_other(tmp_path, at):
    """It comes first in a folder, where names are sorted."""
    order = ["17-VIS", "17-H"]
    order.insert(at, "17")
    manifest = objects_of_files([write_band(tmp_path / f"{name}.fits") for name in order], ())
    cells = zip(*(manifest.references[band] for band in ("VIS", "H")), strict=True)
    found = {tuple(cell and cell.replace(f"{tmp_path}/", "") for cell in row) for row in cells}
    assert found == {("17-VIS.fits#PRIMARY", "17-H.fits#PRIMARY"), ("17.fits#VIS", None)}
    assert sorted(manifest.object_ids.to_pylist()) == ["17", "17.fits"]


def test_files_that_the_user_named_keep_a_row(tmp_path):
    fits.BinTableHDU.from_columns([fits.Column("a", "K", array=[1])]).writeto(tmp_path / "table.fits")
    uris = [str(tmp_path / "table.fits"), write_cutout(tmp_path / "a.fits"), write_band(tmp_path / "a_psf.fits")]
    manifest = objects_of_files(uris, uris)
    assert (manifest.object_ids.to_pylist(), manifest.skipped) == (["table", "a", "a_psf"], [])
    table, _, psf = manifest_cutouts(manifest.rows([0, 1, 2]), MER_10)
    assert str(table) == "missing_band: table.fits: has no two-dimensional image"
    assert str(psf) == "missing_band: a_psf.fits: by its name a PSF, a noise map or a mask"
    found = objects_of_files(uris, uris[2:])
    assert (found.object_ids.to_pylist(), found.skipped) == (["a", "a_psf"], uris[:1])


def test_a_file_without_any_clue_is_refused_with_an_example(tmp_path):
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(image(i), name=name) for i, name in enumerate(("SCI", "ERR")))]
    fits.HDUList(hdus).writeto(tmp_path / "lens.fits")
    with pytest.raises(ManifestError) as caught:
        objects_of_files([str(tmp_path / "lens.fits")], ())
    assert "'object_id,VIS,Y,J,H' and, for example, 'lens,lens.fits#SCI,lens.fits#ERR,,'" in str(caught.value)
    assert str(caught.value).endswith("its extensions are SCI, ERR")


def test_a_cube_is_named_as_one(tmp_path):
    fits.PrimaryHDU([[[1.0, 2.0]] * 3] * 4).writeto(tmp_path / "cube.fits")
    says = "cube.fits: has no two-dimensional image, but an array of 4x3x2: name its bands in order, such as --bands VIS,Y,J,H"
    with pytest.raises(ManifestError, match=f"{says}$"):
        objects_of_files([str(tmp_path / "cube.fits")], ())
    uris = [str(tmp_path / "cube.fits"), write_cutout(tmp_path / "a.fits")]
    (cube,) = manifest_cutouts(objects_of_files(uris, uris).rows([0]), MER_10)
    assert str(cube) == f"missing_band: {says}"


def test_a_table_alone_is_taken_for_positions(tmp_path):
    fits.BinTableHDU.from_columns([fits.Column("a", "K", array=[1])]).writeto(tmp_path / "table.fits")
    with pytest.raises(ManifestError, match="no two-dimensional image; a table of positions needs --tiles"):
        objects_of_files([str(tmp_path / "table.fits")], ())
