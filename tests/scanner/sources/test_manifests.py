"""Valid and invalid manifests in CSV and Parquet."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.store.storage import create_if_absent, join
from scanner.files import fits_image
from scanner.files.fits_file import open_fits
from scanner.sources.cutouts import Cutout
from scanner.sources.manifests import ManifestError, manifest_cutouts, read_manifest
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.rejections import Rejection
from tests.cutouts import write_band, write_cutout


def write(tmp_path, text):
    path = tmp_path / "m.csv"
    path.write_text(text)
    return str(path)


def write_parquet(tmp_path, **columns):
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one good object in four bands, and a blank image."""
    path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for band in ("vis", "y", "j", "h"):
        fits.writeto(path / f"{band}.fits", rng.normal(size=(200, 200)).astype(np.float32))
    fits.writeto(path / "blank.fits", np.zeros((200, 200), np.float32))
    return path


GOOD = "vis.fits,y.fits,j.fits,h.fits"


def outcomes(manifest):
    return [
        ("scored", "; ".join(row.notes)) if isinstance(row, Cutout) else (str(row.code), row.detail)
        for row in manifest_cutouts(read_manifest(manifest), CHALLENGE)
    ]


def test_each_file_of_a_row_is_read_once(folder, monkeypatch):
    (folder / "once.csv").write_text(f"object_id,VIS,Y,J,H,pixel_scale_arcsec\n1,{GOOD},0.1\n")
    opened = []
    monkeypatch.setattr(fits_image, "open_fits", lambda uri, most: opened.append(uri) or open_fits(uri, most))
    assert len(list(manifest_cutouts(read_manifest(str(folder / "once.csv")), CHALLENGE, {}))) == 1
    assert opened == [f"{folder}/{name}" for name in GOOD.split(",")]


@pytest.mark.parametrize(
    ("scale", "note"), [(0.1, ""), (0.091, ""), (0.109, ""), (0.089, "0.089"), (0.112, "0.112"), (0.2, "0.2")]
)
def test_coarse_or_fine_vis_pixels_are_noted(folder, scale, note):
    (folder / "scale.csv").write_text(f"object_id,VIS,Y,J,H,pixel_scale_arcsec\n1,{GOOD},{scale}\n")
    ((status, detail),) = outcomes(str(folder / "scale.csv"))
    said = f"VIS pixels of {note} arcsec: p_lens is calibrated for images like Euclid's only" if note else ""
    assert (status, [text for text in detail.split("; ") if "pixels" in text]) == ("scored", [said] if said else [])


def test_images_that_say_another_band_are_noted(tmp_path):
    write_cutout(tmp_path / "e.fits")
    write_band(tmp_path / "y.fits", FILTER="NIR_Y")
    write_band(tmp_path / "h.fits", FILTER="NIR_H")
    text = "object_id,VIS,Y,J,H\n"
    for y, h in (("e.fits#NIR_Y_FLUX", "e.fits#NIR_H_FLUX"), ("y.fits", "h.fits")):
        text += "".join(f"1,e.fits#1,{one},e.fits#NIR_J_FLUX,{other}\n" for one, other in ((y, h), (h, y)))
    details = [detail for _, detail in outcomes(write(tmp_path, text))]
    swapped = "another band by its name or FILTER: Y is an image of H, H is an image of Y"
    assert [swapped in detail for detail in details] == [False, True, False, True]
    assert not any("another band" in detail for detail in details[::2])


@pytest.mark.fault(25)
def test_columns_are_found_by_name_in_any_order(tmp_path):
    manifest = read_manifest(
        write(tmp_path, "H, colour ,object_id,VIS,pixel_scale_arcsec\nh.fits#2,red,7, v.fits#VIS ,0.1\n,,8,,\n")
    )
    assert manifest.object_ids.to_pylist() == [7, 8]
    assert manifest.object_ids.type == pa.int64()
    assert manifest.references == {
        "VIS": [f"{tmp_path}/v.fits#VIS", None],
        "Y": [None, None],
        "J": [None, None],
        "H": [f"{tmp_path}/h.fits#2", None],
    }
    assert manifest.pixel_scales == [0.1, None]
    assert (manifest.ra, manifest.dec) == ([], [])
    placed = read_manifest(write(tmp_path, "id,dec,VIS,ra\n7,-4.5,v.fits,150.25\n8,,v.fits,\n"))
    assert (placed.ra, placed.dec) == ([150.25, None], [-4.5, None])


@pytest.mark.parametrize("reference", ["/data/a.fits#VIS", "s3://bucket/a.fits", "file:///data/a.fits"])
def test_absolute_references_are_kept(tmp_path, reference):
    assert read_manifest(write(tmp_path, f"object_id,VIS\n1,{reference}\n")).references["VIS"] == [reference]


def test_a_tilde_before_a_name_is_part_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = read_manifest(write(tmp_path, "object_id,VIS\n1,~scratch/a.fits\n2,~/a.fits#VIS\n")).references["VIS"]
    assert found == [f"{tmp_path}/~scratch/a.fits", "/home/me/a.fits#VIS"]


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["1", "-2"], [1, -2]),
        ([str(2**63 - 1), str(-(2**63))], [2**63 - 1, -(2**63)]),
        ([str(2**53 + 1), "0"], [2**53 + 1, 0]),
        ([str(2**63), "0"], [str(2**63), "0"]),
        (["007", "8"], ["007", "8"]),
        (["1", "NEG12"], ["1", "NEG12"]),
        (["1.0", "2"], ["1.0", "2"]),
        (["5", "5"], [5, 5]),
        (["nan", "NULL"], ["nan", "NULL"]),
        (['"a,b"', "true"], ["a,b", "true"]),
    ],
)
def test_ids_keep_all_digits_and_letters(tmp_path, ids, expected):
    manifest = read_manifest(write(tmp_path, "object_id,VIS\n" + "".join(f"{i},v.fits\n" for i in ids)))
    assert manifest.object_ids.to_pylist() == expected


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (pa.array([2**53 + 1, -1], pa.int64()), pa.int64()),
        (pa.array([1, 2], pa.uint16()), pa.int64()),
        (pa.array(["a", "7"]), pa.string()),
        (pa.array(["a", "7"], pa.large_string()), pa.string()),
        (pa.array(["a", "7"]).dictionary_encode(), pa.string()),
    ],
)
def test_parquet_manifests_are_read_with_their_types(tmp_path, ids, kind):
    uri = write_parquet(
        tmp_path, object_id=ids, VIS=["a.fits", None], Y=pa.nulls(2), pixel_scale_arcsec=[0.1, None], extra=[1, 2]
    )
    manifest = read_manifest(uri)
    assert manifest.object_ids.type == kind
    assert manifest.object_ids.to_pylist() == ids.to_pylist()
    assert manifest.references["VIS"] == [f"{tmp_path}/a.fits", None]
    assert manifest.pixel_scales == [0.1, None]


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; the first line must name columns out of object_id, VIS"),
        ("\n\n", "empty"),
        ("number,VIS\n1,a.fits\n", "needs a column object_id, got number, VIS"),
        ("object_id,vis\n1,a.fits\n", "at least one column of VIS, Y, J, H, or file, got object_id, vis"),
        ("object_id,VIS,VIS\n1,a,b\n", "named twice"),
        ("object_id,VIS\n1,a\n2\n", "neither Parquet nor CSV"),
        ("object_id,VIS\n1,a\n,b\n", "row 2 has no object_id"),
        ("PAR1 rubbish", "not a readable Parquet file: 12 bytes"),
    ],
)
def test_unusable_manifests_are_refused_with_the_reason(tmp_path, text, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(write(tmp_path, text))


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"object_id": [1.0], "VIS": ["a"]}, "object_id must be of a type like int64, got double"),
        ({"object_id": pa.array([2**63], pa.uint64()), "VIS": ["a"]}, "object_id does not fit int64"),
        ({"object_id": [1], "VIS": [1]}, "VIS must be of a type like string, got int64"),
        ({"object_id": pa.array([None], pa.string()), "VIS": ["a"]}, "row 1 has no object_id"),
        ({"object_id": [1], "VIS": ["a"], "pixel_scale_arcsec": ["a"]}, "pixel_scale_arcsec"),
    ],
)
def test_unusable_parquet_columns_are_named(tmp_path, columns, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(write_parquet(tmp_path, **columns))


def test_a_missing_manifest_or_a_folder_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.csv: no such file"):
        read_manifest(str(tmp_path / "none.csv"))
    with pytest.raises(ManifestError, match="a folder"):
        read_manifest(str(tmp_path))


def test_bytes_that_are_not_text_are_refused(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"object_id,VIS\n1,\xff\xfe\n")
    with pytest.raises(ManifestError, match="UTF8"):
        read_manifest(str(tmp_path / "m.csv"))


def test_each_row_gives_a_cutout_or_rejection_in_order(folder):
    rows = [
        GOOD + ",0.1",
        ",y.fits,j.fits,h.fits,0.1",
        "vis.fits,gone.fits,j.fits,h.fits,0.1",
        "vis.fits,y.fits,blank.fits,h.fits,0.1",
        "vis.fits,y.fits#Z,j.fits,h.fits,0.1",
        GOOD + ",",
        GOOD + ",wide",
        "vis.fits,vis.fits,vis.fits,h.fits,0.1",
        "vis.fits,j.fits,j.fits,vis.fits,0.1",
        GOOD + ",0.1",
    ]
    text = "object_id,VIS,Y,J,H,pixel_scale_arcsec\n" + "".join(f"{i},{row}\n" for i, row in enumerate(rows))
    assert outcomes(write(folder, text)) == [
        ("scored", ""),
        ("missing_band", "VIS: no image is named"),
        ("missing_file", "Y: gone.fits: no such file"),
        ("blank", "J: every pixel is 0"),
        ("missing_extension", "Y: y.fits: no extension 'Z'; it has PRIMARY"),
        ("no_pixel_scale", "VIS: vis.fits[PRIMARY]: neither a celestial WCS nor PIXSCALE in the header; give one"),
        ("no_pixel_scale", "VIS: pixel scale must be 0.005-5 arcsec, got nan"),
        ("scored", "substituted: Y, J = VIS"),
        ("scored", "substituted: H = VIS; substituted: J = Y"),
        ("scored", ""),
    ]


@pytest.mark.fault(25)
def test_without_a_band_column_every_row_lacks_that_band(folder):
    text = "object_id,VIS,Y,J,pixel_scale_arcsec\n" + "1,vis.fits,y.fits,j.fits,0.1\n" * 2
    assert outcomes(write(folder, text)) == [("missing_band", "H: no image is named")] * 2


def test_a_manifest_without_rows_gives_no_cutouts(folder):
    assert outcomes(write(folder, "object_id,VIS\n")) == []


def test_files_are_read_only_when_their_row_is_requested(folder):
    text = "object_id,VIS,Y,J,H,pixel_scale_arcsec\n" + f"1,{GOOD},0.1\n2,late.fits,,,,\n"
    stream = manifest_cutouts(read_manifest(write(folder, text)), CHALLENGE)
    assert isinstance(next(stream), Cutout)
    (folder / "late.fits").write_text("<html>")
    found = next(stream)
    (folder / "late.fits").unlink()
    assert isinstance(found, Rejection)
    assert found.code == "fits_unreadable"


@pytest.mark.server
def test_manifest_and_images_are_read_from_s3(folder, s3):
    for name in ("vis.fits", "y.fits", "j.fits", "h.fits"):
        create_if_absent(join(s3, "night", name), (folder / name).read_bytes(), "test")
    rows = [
        GOOD,
        f"vis.fits,y.fits,j.fits,{folder}/h.fits",
        f"{s3}/night/vis.fits#0,y.fits,gone.fits,h.fits",
        "s3://no-bucket/x.fits,,,",
    ]
    text = "object_id,VIS,Y,J,H,pixel_scale_arcsec\n" + "".join(f"{i},{row},0.1\n" for i, row in enumerate(rows))
    create_if_absent(join(s3, "night", "m.csv"), text.encode(), "test")
    assert outcomes(join(s3, "night", "m.csv")) == [
        ("scored", ""),
        ("scored", ""),
        ("missing_file", "J: gone.fits: no such file"),
        ("missing_file", "VIS: x.fits: no such file"),
    ]
    with pytest.raises(ManifestError, match=r"none\.csv: no such file"):
        read_manifest(join(s3, "none.csv"))


CELLS = st.sampled_from(["vis.fits", "blank.fits", "gone.fits", "", "vis.fits#9", "#", "http://x/y.fits", "\u03b1 b.fits", "."])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["", "0.1", "x", "-1", "1e400"])), max_size=8))
def test_every_row_gives_exactly_one_outcome(folder, rows):
    text = "object_id,VIS,Y,J,H,pixel_scale_arcsec\n" + "".join(f"a,{v},{h},j.fits,{h},{s}\n" for v, h, s in rows)
    found = outcomes(write(folder, text))
    assert len(found) == len(rows)
    for (vis, nisp, scale), (code, _) in zip(rows, found, strict=True):
        assert (code == "scored") == (vis == nisp == "vis.fits" and scale == "0.1")
