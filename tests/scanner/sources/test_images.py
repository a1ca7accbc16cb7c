import csv

import numpy as np
import pytest
from astropy.io import fits

from scanner.preprocess.stamp_checks import StampsError
from scanner.sources.cutouts import Cutout
from scanner.sources.images import open_images
from scanner.sources.manifests import manifest_cutouts, read_manifest
from scanner.sources.object_tables import ManifestError
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from scanner.vocabulary.rejections import Rejection

BANDS = ("VIS", "Y", "J", "H")


@pytest.fixture
def arrays(rng):
    return {band: rng.normal(size=(3, 100, 100)).astype(np.float32) for band in BANDS}


def stamps(images, **how):
    return [row.stamps for row in open_images(images, MER_10, **how).rows()]


def assert_equal(got, arrays):
    assert len(got) == len(arrays["VIS"])
    for i, row in enumerate(got):
        for band in BANDS:
            assert row[band].dtype == np.float32
            assert np.array_equal(row[band], arrays[band][i])


def test_stamps_of_the_geometry_stay_as_they_are(arrays):
    opened = open_images(arrays, MER_10)
    assert opened.object_ids.to_pylist() == [0, 1, 2]
    for _ in range(2):  # rows can be read again
        assert_equal([row.stamps for row in opened.rows()], arrays)


def test_one_array_has_the_bands_in_order(arrays):
    together = np.stack([arrays[band] for band in BANDS], axis=1)
    assert_equal(stamps(together), arrays)
    assert_equal(stamps(together[1]), {band: images[1:2] for band, images in arrays.items()})


def test_a_single_object_may_come_without_its_axis(arrays):
    assert_equal(stamps({band: images[2] for band, images in arrays.items()}), {b: a[2:] for b, a in arrays.items()})


@pytest.mark.parametrize("kind", [">f4", np.float64, np.int32])
def test_numbers_of_other_types_are_converted(arrays, kind):
    given = {band: (100 * images).astype(kind) for band, images in arrays.items()}
    assert_equal(stamps(given), {band: images.astype(np.float32) for band, images in given.items()})
    assert_equal(stamps({band: images.tolist() for band, images in given.items()}), given)


@pytest.mark.parametrize("side", [200, 163])
def test_larger_arrays_are_cropped_as_files_are(rng, tmp_path, side):
    """163 pixels have their centre on a pixel, 100 between two: then the crop shares the pixels."""
    large = {band: rng.normal(size=(2, side, side)).astype(np.float32) for band in BANDS}
    with pytest.raises(StampsError, match=rf"VIS must be \[n, 100, 100\] .*got \[2, {side}, {side}\]; crop=True crops"):
        open_images(large, MER_10)
    manifest = write_manifest(tmp_path, large)
    from_files = [row.stamps for row in manifest_cutouts(read_manifest(str(manifest)), MER_10)]
    got = stamps(large, crop=True)
    assert_equal(got, {band: np.stack([row[band] for row in from_files]) for band in BANDS})
    if side == 200:
        assert_equal(got, {band: images[:, 50:150, 50:150] for band, images in large.items()})


def test_a_manifest_and_its_references_give_the_same(arrays, tmp_path):
    manifest = write_manifest(tmp_path, arrays)
    assert_equal(stamps(manifest), arrays)
    assert_equal(stamps(str(manifest)), arrays)
    lists = {band: [f"{tmp_path}/{i}.fits#{band}" for i in range(3)] for band in BANDS}
    assert_equal(stamps(lists), arrays)
    assert_equal(stamps({band: files[1] for band, files in lists.items()}), {b: a[1:2] for b, a in arrays.items()})


def test_a_blank_object_is_rejected_and_the_others_are_not(arrays):
    arrays["J"][1] = 0
    rows = list(open_images(arrays, MER_10).rows())
    assert [type(row) for row in rows] == [Cutout, Rejection, Cutout]
    assert str(rows[1]) == "blank: J: every pixel is 0"


@pytest.mark.parametrize("as_given", [np.asarray, list, np.ma.masked_invalid, lambda a: [*np.ma.masked_invalid(a)]])
def test_nan_is_filled_or_rejected_as_in_files(arrays, tmp_path, as_given):
    arrays["Y"][0, 0, :7] = np.nan
    arrays["H"][2, :11] = np.inf
    from_files = list(manifest_cutouts(read_manifest(str(write_manifest(tmp_path, arrays))), MER_10))
    given = {band: as_given(images) for band, images in arrays.items()}
    filled, whole, rejected = open_images(given, MER_10).rows()
    assert (filled.notes, whole.notes, rejected.code) == (("filled: Y",), (), "not_finite")
    assert str(rejected) == str(from_files[2])
    assert_equal([filled.stamps], {band: from_files[0].stamps[band][None] for band in BANDS})
    with pytest.raises(StampsError, match=r"Y of object 0: every pixel must be finite, got 7 that"):
        open_images(given, MER_10, strict=True)


def changed(arrays, **bands):
    return {**arrays, **bands}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: changed(a, H=a["H"][:, :90, :90]), r"H must be \[n, 100, 100\] .*, got \[3, 90, 90\]$"),
        (lambda a: changed(a, H=a["H"][0]), r"H must be .*, got \[100, 100\]$"),
        (lambda a: changed(a, H=a["H"][:2]), "same number of objects, got VIS 3, Y 3, J 3, H 2"),
        (lambda a: changed(a, H=a["H"] * 1j), "H must be an array of real numbers, got complex"),
        (lambda a: changed(a, H=a["H"].astype(object)), "got object"),
        (lambda a: changed(a, H=None), "got object"),
        (lambda a: changed(a, H=[[1, 2], [3]]), "H must be an array of real numbers, got list"),
        (lambda a: changed(a, K=a["H"]), "no band K"),
        (lambda a: {"VIS": a["VIS"]}, "images in Y, J, H are missing"),
        (lambda a: a["VIS"], r"\[n, band, y, x\] or \[band, y, x\] with the bands VIS, Y, J, H, got \[3, 100, 100\]"),
        (lambda a: a["VIS"][0], r"got \[100, 100\]"),
        (lambda a: {band: images[:0] for band, images in a.items()}, "the images hold no object"),
        (lambda _: {"VIS": ["a.fits", "b.fits"], "Y": "a", "J": "b", "H": "c"}, "got VIS 2, Y 1, J 1, H 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arrays, change, says):
    with pytest.raises(StampsError, match=says) as caught:
        open_images(change(arrays), MER_10)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(ManifestError, match=r"stamps\.fits: no such file"):
        open_images("stamps.fits", MER_10)


def test_bands_of_two_sizes_need_names():
    with pytest.raises(StampsError, match="bands of challenge stamps differ in size"):
        open_images(np.zeros((1, 4, 200, 200)), CHALLENGE)


def write_manifest(folder, arrays):
    """Write one FITS file for each object, and a manifest that names its images."""
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["object_id", *BANDS])
        for i in range(len(arrays["VIS"])):
            hdus = [fits.ImageHDU(arrays[band][i], name=band) for band in BANDS]
            for hdu in hdus:
                hdu.header["PIXSCALE"] = 0.1
            fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / f"{i}.fits")
            rows.writerow([i, *(f"{i}.fits#{band}" for band in BANDS)])
    return path
