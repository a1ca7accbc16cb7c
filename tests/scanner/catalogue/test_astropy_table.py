import io

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.io.votable import parse_single_table

from scanner.catalogue.astropy_table import astropy_table, described
from scanner.catalogue.map_columns import MAP_COLUMNS
from tests.scanner.catalogue_parts import NETWORKS, scores, with_maps


@pytest.fixture(scope="module")
def rows():
    """Three rows, of which the second is rejected and the last has no maps."""
    return with_maps(scores([1, 2, 3], [0.9, None, 0.7]), {0})


@pytest.fixture(scope="module")
def table(rows):
    return astropy_table(
        described(rows.replace_schema_metadata().cast(pa.schema([(f.name, f.type) for f in rows.schema])), NETWORKS)
    )


def test_units_and_descriptions_travel(table):
    assert table["ra"].unit == units.deg
    assert table["attribution_peak_arcsec"].unit == units.arcsec
    assert table["p_lens"].unit is None
    assert table["ra"].description == "Right ascension, ICRS"
    assert table["p_OU_66"].description.startswith("Probability of a lens from network OU-66")
    assert table["ra"].info.meta == {"ucd": "pos.eq.ra;meta.main"}


def test_values_are_those_of_the_rows(rows, table):
    assert table.colnames == rows.column_names
    assert table["object_id"].tolist() == [1, 2, 3]
    assert table["status"].tolist() == ["scored", "rejected:blank", "scored"]
    assert table["p_lens"].mask.tolist() == [False, True, False]
    assert np.array_equal(table["p_lens"][[0, 2]], np.float32([0.9, 0.7]))


def test_maps_have_their_axes(rows, table):
    for column in MAP_COLUMNS:
        got = table[column.name]
        assert got.shape == (3, *column.shape)
        assert got[0].ravel().tolist() == rows[column.name][0].as_py()
        assert got.mask[1:].all()
        assert not got.mask[0].any()


def test_a_votable_keeps_units_and_ucds(table):
    sink = io.BytesIO()
    table[["object_id", "ra", "p_lens"]].write(sink, format="votable")
    field = parse_single_table(sink).get_field_by_id("ra")
    assert (str(field.unit), field.ucd, field.description) == ("deg", "pos.eq.ra;meta.main", "Right ascension, ICRS")


def test_other_columns_of_sql_keep_their_meaning():
    table = pa.table({"p_best": [0.5], "night": ["2026-11-24"], "n": pa.array([3], pa.decimal128(38, 0)), "good": [True]})
    converted = astropy_table(described(table))
    assert converted["p_best"].description is None
    assert converted["night"].description == "Night of the scan, YYYY-MM-DD; empty for a scan without a night"
    assert (converted["n"][0], converted["good"][0]) == (3.0, True)


def test_an_empty_table_keeps_its_columns(rows):
    assert astropy_table(rows.slice(0, 0)).colnames == rows.column_names
