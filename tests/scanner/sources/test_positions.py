"""Positions from every kind of table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table
from astropy.units import Unit

from infra.quiet import without_warnings
from scanner.sources.object_tables import ManifestError
from scanner.sources.positions import read_positions

RA, DEC = [10.25, 359.5, 0.0], [-44.0, 2.5, 89.9]


@pytest.mark.parametrize("names", [("ra", "dec"), ("RIGHT_ASCENSION", "DECLINATION"), ("RAJ2000", "DEJ2000")])
@pytest.mark.parametrize("kind", ["csv", "parquet", "fits", "vot"])
def test_every_kind_of_table_gives_the_same_positions(tmp_path, kind, names):
    path = tmp_path / f"p.{kind}"
    columns = {"OBJECT_ID": [-5, 2**60, 7], names[0]: RA, names[1]: DEC, "mag": [20.5, 21.5, 22.5], "note": ["a", "b", "c"]}
    if kind == "parquet":
        pq.write_table(pa.table(columns), path)
    elif kind == "csv":
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines))
    else:
        Table(columns).write(path, format="votable" if kind == "vot" else "fits")
    found = read_positions(str(path))
    assert found.object_ids.equals(pa.array([-5, 2**60, 7]))
    assert (found.ra.tolist(), found.dec.tolist()) == (RA, DEC)
    assert {name: column.to_pylist() for name, column in found.others.items()} == {
        "mag": [20.5, 21.5, 22.5],
        "note": ["a", "b", "c"],
    }


def test_rows_without_ids_are_counted_from_one(tmp_path):
    (tmp_path / "p.csv").write_text("Ra,DEC\n1,2\n3,\n")
    found = read_positions(str(tmp_path / "p.csv"))
    assert found.object_ids.to_pylist() == [1, 2]
    np.testing.assert_array_equal(found.dec, [2, np.nan])


def test_padded_coordinates_of_a_csv_file_are_numbers(tmp_path):
    (tmp_path / "p.csv").write_text("id,ra,dec,name\n007,005.1234,+02.20,01\n8,010,-02,2\n")
    found = read_positions(str(tmp_path / "p.csv"))
    assert (found.ra.tolist(), found.dec.tolist()) == ([5.1234, 10.0], [2.2, -2.0])
    assert (found.object_ids.to_pylist(), found.others["name"].to_pylist()) == (["007", "8"], ["01", "2"])


def test_a_header_may_begin_with_a_hash(tmp_path):
    (tmp_path / "p.csv").write_text("#ID,RA,DEC\n7,1,2\n")
    assert read_positions(str(tmp_path / "p.csv")).object_ids.to_pylist() == [7]


@pytest.mark.parametrize("ids", [["1.10", "1.1"], ["12E3", "12000"], [str(10**19), str(10**19 + 1)]])
def test_ids_of_a_csv_file_keep_their_text(tmp_path, ids):
    (tmp_path / "p.csv").write_text("Source_ID,ra,dec,name\n" + "".join(f"{name},1.5,2,{name}\n" for name in ids))
    found = read_positions(str(tmp_path / "p.csv"))
    assert found.object_ids.to_pylist() == found.others["name"].to_pylist() == ids
    assert found.ra.tolist() == [1.5, 1.5]


def test_masked_positions_have_no_value(tmp_path):
    table = Table({"name": ["a", "b"], "ra": MaskedColumn([1.0, 2.0], mask=[False, True]), "dec": [3.0, 4.0]})
    table.write(tmp_path / "p.vot", format="votable")
    np.testing.assert_array_equal(read_positions(str(tmp_path / "p.vot")).ra, [1, np.nan])


@pytest.mark.parametrize("kind", ["fits", "votable"])
@pytest.mark.parametrize("name", ["RA", "DEC"])
def test_other_units_than_degrees_are_refused(tmp_path, kind, name):
    path = tmp_path / "p"
    for unit in ("rad", "arcsec", "deg", "DEG", "Degree", "degrees", ""):
        units = {"RA": "deg", "DEC": "deg", "angle": "rad", name: Unit(unit, parse_strict="silent")}
        with without_warnings():
            Table({"RA": RA, "DEC": DEC, "angle": RA}, units=units).write(path, format=kind, overwrite=True)
        if unit in {"rad", "arcsec"}:
            with pytest.raises(ManifestError, match=f"column {name} has the unit {unit}; degrees are needed$"):
                read_positions(str(path))
        else:
            assert read_positions(str(path)).dec.tolist() == DEC


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("object_id,ra\n1,2\n", "needs a column dec or declination or .*, got object_id, ra"),
        ("object_id,VIS\n1,2\n", "needs a column ra or right_ascension"),
        ("ra,dec\n10:20:30,2\n", "column ra must hold numbers in degrees, got '10:20:30'"),
        ("ra,RA,dec\n1,1,2\n", "has several such columns: ra, RA"),
        ("id,ra,dec\n,1,2\n", "row 1 has no object_id"),
        ("ID,RA,DEC\n", "has no rows$"),
        ("ID;RA;DEC\n1;2;3\n", "the separator must be a comma; the first line is 'ID;RA;DEC'$"),
        ("# by me\nID,RA,DEC\n1,2,3\n", "comment lines and ECSV are not read"),
        ("<VOTABLE>", "cannot be read"),
        ("PAR1", "not a readable Parquet file"),
    ],
)
def test_unusable_tables_are_refused(tmp_path, text, says):
    (tmp_path / "p").write_text(text)
    with pytest.raises(ManifestError, match=f"positions .*p: .*{says}"):
        read_positions(str(tmp_path / "p"))
