"""Arguments that name images: files, folders, manifests, all together."""

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from infra.store.storage import create_if_absent, join
from scanner.sources.cutouts import Cutout
from scanner.sources.image_arguments import names_cutouts, read_images
from scanner.sources.manifests import manifest_cutouts
from scanner.sources.object_tables import ManifestError
from scanner.vocabulary.geometry import MER_10
from tests.cutouts import write_cutout
from tests.tiles import write_tile


@pytest.fixture
def folder(tmp_path):
    write_cutout(tmp_path / "images" / "a.fits")
    write_cutout(tmp_path / "images" / "below" / "b.FITS", ("VIS", "H"), seed=1)
    (tmp_path / "m.csv").write_text("object_id,VIS,mag,ra,pixel_scale_arcsec\n7,images/a.fits#VIS_FLUX,21.5,3,0.05\n")
    (tmp_path / "n.csv").write_text("object_id,VIS,mag\nx,images/a.fits#VIS_FLUX,bright\n")
    return tmp_path


def test_a_folder_gives_the_files_below_it(folder):
    manifest = read_images([str(folder / "images")])
    assert manifest.object_ids.to_pylist() == ["a", "b"]
    assert [sorted(manifest.bands(row)) for row in (0, 1)] == [["H", "J", "VIS", "Y"], ["H", "VIS"]]
    again = read_images([str(folder / "images"), str(folder / "images" / "a.fits")])
    assert again.object_ids == manifest.object_ids


def test_manifests_and_files_are_joined(folder):
    joined = read_images([str(folder / "images" / "a.fits"), str(folder / "m.csv"), str(folder / "n.csv")])
    assert joined.object_ids.to_pylist() == ["7", "x", "a"]
    assert joined.others["mag"].to_pylist() == ["21.5", "bright", None]
    assert joined.ra[:2] == [3, None]
    assert joined.pixel_scales == [0.05, None, None]
    assert [bool(note) for note in joined.notes] == [False, False, True]
    assert {len(values) for values in (*joined.references.values(), joined.ra, joined.dec)} == {3}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["id", "ID", "Name", "source_id", "object_id", None])
def test_a_manifest_of_files_has_the_bands_of_their_extensions(folder, kind, column):
    files = ["images/a.fits", "images/below/b.FITS", "images/gone.fits", ""]
    table = pa.table({**({column: ["00", "01", "02", "03"]} if column else {}), "file": files, "mag": [1.5, 2, 3, 4]})
    path = folder / f"list.{kind}"
    pq.write_table(table.slice(0, 4 if column else 3), path) if kind == "parquet" else pa_csv.write_csv(table, path)
    if column is None and kind == "csv":
        path.write_text("file,mag\n" + "".join(f"{name},{i}\n" for i, name in enumerate(files[:3])))
    manifest = read_images([str(path)])
    assert manifest.object_ids.to_pylist() == (["00", "01", "02", "03"] if column else files[:3])
    assert [sorted(manifest.bands(row)) for row in (0, 1)] == [["H", "J", "VIS", "Y"], ["H", "VIS"]]
    assert manifest.notes[1] == "guessed: VIS = VIS, H = H"
    assert list(manifest.others) == ["mag"]
    rows = list(manifest_cutouts(manifest.rows([0, 2]), MER_10))
    assert isinstance(rows[0], Cutout)
    assert "missing_file" in str(rows[1])
    if column:
        assert manifest.faults == ["", "", "", "no file is named"]


def test_a_file_beside_bands_is_a_column_of_the_output(folder):
    (folder / "both.csv").write_text("ID,VIS,file\n7,images/a.fits#VIS_FLUX,thumbnail.png\n")
    manifest = read_images([str(folder / "both.csv")])
    assert (manifest.object_ids.to_pylist(), manifest.bands(0)) == ([7], {"VIS"})
    assert manifest.others["file"].to_pylist() == ["thumbnail.png"]


def test_one_manifest_keeps_its_integers(folder):
    assert read_images([str(folder / "m.csv")]).object_ids.to_pylist() == [7]


@pytest.mark.parametrize(
    ("name", "says"),
    [("gone.fits", r"gone\.fits: no such file"), ("tiles", "holds tiles: use lensscan scan"), ("empty", "holds no FITS files")],
)
def test_what_is_no_image_is_refused(tmp_path, name, says):
    (tmp_path / "empty").mkdir()
    write_tile(tmp_path / "tiles", 1, 1, n_pixels=250)
    with pytest.raises(ManifestError, match=says):
        read_images([str(tmp_path / name)])


def test_cutouts_are_told_from_tiles(folder):
    write_tile(folder / "tiles", 1, 1, n_pixels=250)
    (folder / "shards").mkdir()
    (folder / "shards" / "shard-00000.parquet").touch()
    assert [name for name in ("images", "m.csv", "images/a.fits", "tiles", "shards") if names_cutouts(str(folder / name))] == [
        "images",
        "m.csv",
        "images/a.fits",
    ]


@pytest.mark.server
def test_files_and_folders_are_read_from_s3(folder, s3):
    for name in ("images/a.fits", "images/below/b.FITS", "m.csv"):
        create_if_absent(join(s3, name), (folder / name).read_bytes(), "test")
    assert read_images([join(s3, "images")]).object_ids.to_pylist() == ["a", "b"]
    both = read_images([join(s3, "m.csv"), join(s3, "images", "a.fits")])
    assert both.object_ids.to_pylist() == ["7", "a"]
    assert both.references["VIS"] == [f"{s3}/images/a.fits#VIS_FLUX"] * 2
    assert [names_cutouts(join(s3, name)) for name in ("images", "m.csv", "nothing")] == [True, True, False]
    with pytest.raises(ManifestError, match=r"gone\.fits: no such file"):
        read_images([join(s3, "gone.fits")])
