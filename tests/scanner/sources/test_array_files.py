"""Arrays in files give the stamps of the same arrays in memory, whatever the order of their axes."""

import numpy as np
import pytest
from astropy.io import fits

from infra.store.storage import create_if_absent, join
from scanner.sources.array_files import open_arrays
from scanner.sources.cutouts import Cutout
from scanner.sources.image_arguments import read_images
from scanner.sources.images import open_images
from scanner.sources.object_tables import ManifestError
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from tests.cutouts import sky_header

BANDS = ("H", "VIS", "J", "Y")
"""Bands in an order that no other part of the program has."""
NAMES = ",".join(BANDS)


@pytest.fixture
def planes(rng):
    """Three objects, `[n, band, y, x]`, larger than the field of the networks."""
    return rng.normal(size=(3, 4, 130, 120)).astype(np.float32)


def in_memory(planes):
    by_band = {band: planes[:, i] for i, band in enumerate(BANDS)}
    return [row.stamps for row in open_images(by_band, MER_10, crop=True).rows()]


def assert_rows(opened, wanted):
    got = list(opened.images(MER_10).rows())
    assert len(got) == len(wanted) == len(opened.object_ids)
    for row, stamps in zip(got, wanted, strict=True):
        assert {band: row.stamps[band].tobytes() for band in BANDS} == {band: stamps[band].tobytes() for band in BANDS}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8"])
def test_an_array_has_its_bands_first_or_last(tmp_path, planes, order, kind):
    np.save(tmp_path / "a.npy", planes.transpose(order).astype(kind))
    opened = open_arrays([str(tmp_path / "a.npy")], NAMES)
    assert opened.object_ids.to_pylist() == [0, 1, 2]
    assert_rows(opened, in_memory(planes))


def test_an_array_without_the_first_axis_is_one_object(tmp_path, planes):
    np.save(tmp_path / "a.npy", planes[1])
    assert_rows(open_arrays([str(tmp_path / "a.npy")], NAMES), in_memory(planes[1:2]))


def test_archives_hold_one_array_or_one_for_each_band(tmp_path, planes):
    np.savez(tmp_path / "one.npz", images=planes)
    np.savez_compressed(tmp_path / "named.npz", ids=np.arange(3), **{band: planes[:, i] for i, band in enumerate(BANDS)})
    for name, bands in (("one.npz", NAMES), ("named.npz", "VIS, Y, J, H")):
        assert_rows(open_arrays([str(tmp_path / name)], bands), in_memory(planes))


def test_files_and_folders_are_named_in_the_ids(tmp_path, planes):
    folder = tmp_path / "below"
    folder.mkdir()
    np.save(folder / "a.npy", planes[:2])
    fits.PrimaryHDU(planes[2], sky_header(n_pixels=120)).writeto(folder / "cube.fits")
    np.save(tmp_path / "z.npy", planes[1])
    opened = open_arrays([str(folder), str(tmp_path / "z.npy")], NAMES)
    assert opened.object_ids.to_pylist() == ["a-0", "a-1", "cube", "z-0"]
    assert_rows(opened, in_memory(planes[[0, 1, 2, 1]]))


def test_the_header_of_a_cube_tells_its_pixel_scale(tmp_path, rng):
    cube = rng.normal(size=(4, 66, 66)).astype(np.float32)
    fits.PrimaryHDU(cube, sky_header(n_pixels=66, scale_arcsec=0.3)).writeto(tmp_path / "cube.fits")
    (row,) = open_arrays([str(tmp_path / "cube.fits")], NAMES).images(CHALLENGE).rows()
    for i, band in enumerate(BANDS):
        # Bands other than VIS have such pixels already; those of VIS are divided, and keep their flux.
        bins = row.stamps[band] if band != "VIS" else row.stamps[band][1:199, 1:199].reshape(66, 3, 66, 3).sum(axis=(1, 3))
        assert bins == pytest.approx(cube[i], abs=1e-5)


def test_one_band_needs_no_axis_of_bands(tmp_path, planes):
    np.save(tmp_path / "vis.npy", planes[:, 1])
    opened = open_arrays([str(tmp_path / "vis.npy")], "VIS")
    assert opened.bands == {"VIS"}
    assert [str(row) for row in opened.images(MER_10).rows()] == ["missing_band: Y: no image"] * 3


def test_damage_rejects_the_object_alone(tmp_path, planes):
    planes[1, 2] = np.nan
    np.save(tmp_path / "a.npy", planes)
    (tmp_path / "b.fits").write_bytes(b"SIMPLE  =")
    fits.PrimaryHDU(planes[0, :3], sky_header()).writeto(tmp_path / "c.fits")
    fits.PrimaryHDU(planes[0]).writeto(tmp_path / "d.fits")
    rows = list(open_arrays([str(tmp_path)], NAMES).images(MER_10).rows())
    codes = [None if isinstance(row, Cutout) else str(row.code) for row in rows]
    assert codes == [None, "not_finite", None, "fits_truncated", "wrong_shape", "no_pixel_scale"]


@pytest.mark.parametrize(
    ("write", "bands", "says"),
    [
        (np.save, "VIS,Y,J,K", "must be different names out of VIS, Y, J, H, got VIS,Y,J,K"),
        (np.save, "VIS,VIS", "must be different names"),
        (np.save, "VIS,Y", r"with 2 bands \(VIS, Y\), got \[3, 4, 130, 120\]"),
        (lambda path, planes: np.save(path, planes > 0), NAMES, "must be an array of real numbers, got bool"),
        (lambda path, _: np.save(path, np.array([{}]), allow_pickle=True), NAMES, "a.npy: .*Python objects"),
        (lambda path, _: path.write_bytes(b"no array"), NAMES, "a.npy: "),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(tmp_path, planes, write, bands, says):
    write(tmp_path / "a.npy", planes)
    with pytest.raises(ManifestError, match=says) as caught:
        open_arrays([str(tmp_path / "a.npy")], bands)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"gone\.npy: no such file"):
        open_arrays([str(tmp_path / "gone.npy")], NAMES)
    with pytest.raises(ManifestError, match=r"reads files that end in \.npy, \.npz, \.fits"):
        open_arrays([str(tmp_path)], NAMES)


def test_arrays_without_bands_are_told_the_option(tmp_path):
    with pytest.raises(ManifestError, match=r"a\.npy: name the bands of its planes in order, such as --bands VIS,Y,J,H"):
        read_images([str(tmp_path / "a.npy")])


@pytest.mark.server
def test_arrays_are_read_from_s3(s3, tmp_path, planes):
    np.save(tmp_path / "a.npy", planes)
    create_if_absent(join(s3, "a.npy"), (tmp_path / "a.npy").read_bytes(), "test")
    assert_rows(open_arrays([join(s3, "a.npy")], NAMES), in_memory(planes))
