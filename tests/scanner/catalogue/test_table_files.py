"""Tables and their facts in every format, read back by other packages."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from astropy.table import Table

from scanner.catalogue.table_files import check_path, write_table

ROWS = pa.table({"n": [1, 2], "p": [0.5, None], "note": ["a", None]})


def test_facts_are_kept_in_every_format_but_csv(tmp_path):
    for suffix in (".parquet", ".csv", ".fits", ".vot"):
        write_table(ROWS, tmp_path / f"x{suffix}", {"made_by": "me"})
    assert pq.read_schema(tmp_path / "x.parquet").metadata == {b"lensscan.made_by": b"me"}
    assert Table.read(tmp_path / "x.fits").meta["MADE_BY"] == "me"
    assert ("made_by", "me") in [(info.name, info.value) for info in parse(tmp_path / "x.vot").resources[0].infos]
    assert (tmp_path / "x.csv").read_text().splitlines() == ['"n","p","note"', '1,0.5,"a"', "2,,"]


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    check_path(tmp_path / "new" / "x.csv", "x.csv")
    for option, message in (
        ("s3://b/x.csv", "must be a local file"),
        ("x.doc", r"ends in \.parquet"),
        ("/proc/x.csv", "written"),
    ):
        with pytest.raises(ValueError, match=message):
            check_path(Path(option), option)
    with pytest.raises(ValueError, match=r"^FILE must be a file that ends in \.csv, got x\.doc$"):
        check_path(Path("x.doc"), "x.doc", (".csv",), "FILE")
