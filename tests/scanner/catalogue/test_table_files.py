"""Tables and their facts in every format, read back by other packages."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from astropy.table import Table

from scanner.catalogue.table_files import check_path, write_table
from scanner.sources.object_tables import csv_texts

ROWS = pa.table({"n": [1, 2], "p": [0.5, None], "note": ["a", None]})


def test_facts_are_kept_in_every_format_but_csv(tmp_path):
    for suffix in (".parquet", ".csv", ".fits", ".vot"):
        write_table(ROWS, tmp_path / f"x{suffix}", {"made_by": "me"})
    assert pq.read_schema(tmp_path / "x.parquet").metadata == {b"lensscan.made_by": b"me"}
    assert Table.read(tmp_path / "x.fits").meta["MADE_BY"] == "me"
    assert ("made_by", "me") in [(info.name, info.value) for info in parse(tmp_path / "x.vot").resources[0].infos]
    assert (tmp_path / "x.csv").read_text().splitlines() == ['"n","p","note"', '1,0.5,"a"', "2,,"]


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    check_path(tmp_path / "x.csv", "x.csv")
    for option, message in (
        ("s3://b/x.csv", "must be a local file"),
        ("x.doc", r"ends in \.parquet"),
        ("/proc/x.csv", "written"),
    ):
        with pytest.raises(ValueError, match=message):
            check_path(Path(option), option)
    with pytest.raises(ValueError, match=r"^FILE must be a file that ends in \.csv, got x\.doc$"):
        check_path(Path("x.doc"), "x.doc", (".csv",), "FILE")


def test_a_csv_has_no_formulas_and_gives_texts_back(tmp_path):
    texts = ["=1+1", "+1", "-2+3", "@SUM(A1)", "'=1", "''", "a=b", "", "\ufeff=1", "\uff1d1", "=a\n=b", 'a,"=b"', "plain"]
    table = pa.table({"text": [*texts, " =1", "\t=1", None], "n": [-2.5, *range(len(texts) + 2)]})
    write_table(table, tmp_path / "x.csv", {})
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert rows[0] == ["'=1+1", "-2.5"]
    assert not [text for text, _ in rows if text.lstrip(" \ufeff")[:1] in {*"=+-@\t\r\n\uff1d"}]
    # Our reader trims the cells of other programs, so an apostrophe keeps the spaces of a formula, too.
    names, (read, _) = csv_texts("x", (tmp_path / "x.csv").read_bytes())
    assert (names, read.to_pylist()) == (["text", "n"], [*texts, " =1", "\t=1", ""])
