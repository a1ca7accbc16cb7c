"""Files of scores in every format, read back by other packages."""

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from scanner.catalogue.object_table import object_table
from scanner.catalogue.score_files import SCORE_SUFFIXES, ScoreFileError, check_score_path, write_scores
from scanner.scan.score_table import ScoreTable
from scanner.vocabulary.rejections import RejectCode, Rejection


@pytest.fixture
def table():
    """Return two rows: one scored, one rejected, with null numbers and texts in other columns."""
    scored = ScoreTable(("A",))
    scored.reject([(row, Rejection(RejectCode.BLANK, "VIS, all")) for row in range(2)])
    scores = scored.table()
    p_lens = scores.column_names.index("p_lens")
    scores = scores.set_column(p_lens, scores.schema.field("p_lens"), pa.array([0.25, None], pa.float32()))
    others = {"n": pa.chunked_array([[3, None]]), "note": pa.chunked_array([["x", None]])}
    return object_table(pa.array(["a", "b"]), scores, [10.5, None], [-1.0, None], others)


def written(table, path):
    check_score_path(path, str(path), overwrite=True)
    write_scores(table, path, "mer3-sim", "ab" * 32)
    return path


def test_parquet_keeps_everything(table, tmp_path):
    found = pq.read_table(written(table, tmp_path / "s.parquet"))
    assert found.equals(table)
    assert found.schema.metadata == {b"lensscan.ensemble": b"mer3-sim", b"lensscan.sha256": b"ab" * 32}


def test_csv_is_read_by_python(table, tmp_path):
    with written(table, tmp_path / "s.CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == table.column_names
    assert [row["detail"] for row in rows] == ["VIS, all"] * 2
    assert [(row["p_lens"], row["ra"], row["n"], row["note"]) for row in rows] == [("0.25", "10.5", "3", "x"), ("", "", "", "")]


@pytest.mark.parametrize("suffix", [".fits", ".vot"])
def test_astropy_reads_units_and_missing_values(table, tmp_path, suffix):
    found = Table.read(written(table, tmp_path / f"s{suffix}"))
    assert found.colnames == table.column_names
    assert str(found["ra"].unit) == "deg"
    assert (found["p_lens"][0], found["ra"][0], found["n"][0]) == (0.25, 10.5, 3)
    assert found["n"].mask.tolist() == [False, True]
    # Astropy masks the empty texts of a FITS table.
    assert [str(text) for text in MaskedColumn(found["note"]).filled("")] == ["x", ""]


def test_a_text_that_fits_cannot_hold_is_refused(table, tmp_path):
    table = table.append_column("who", pa.array(["Müller", ""]))
    with pytest.raises(ScoreFileError, match=r"s\.fits: a \.fits file cannot hold this table: .*; Parquet and CSV can"):
        written(table, tmp_path / "s.fits")
    assert list(tmp_path.iterdir()) == []
    assert Table.read(written(table, tmp_path / "s.vot"))["who"][0] == "Müller"


@pytest.mark.parametrize("suffix", SCORE_SUFFIXES)
def test_only_files_of_scores_are_replaced(table, tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    path.write_text("object_id,VIS\n1,a.fits\n")
    with pytest.raises(ScoreFileError, match="exists and is not a file of scores; it is not replaced"):
        check_score_path(path, "s", overwrite=True)
    path.unlink()
    for _ in range(2):
        written(table, path)
        with pytest.raises(ScoreFileError, match=r"--out s exists; it is not replaced without --overwrite"):
            check_score_path(path, "s")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("s.txt", r"--out must be a file that ends in \.parquet, \.csv, \.fits, \.vot, got s\.txt"),
        ("s", "must be a file that ends in"),
        ("s3://bucket/s.csv", "must be a local file, got s3://bucket/s.csv"),
        ("/proc/s.csv", r"^/proc/s\.csv: cannot be written: "),
    ],
)
def test_other_paths_are_refused(name, says, tmp_path):
    with pytest.raises(ScoreFileError, match=says):
        check_score_path(tmp_path / name, name)
