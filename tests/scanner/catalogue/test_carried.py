"""Columns that unit files carry have one type for all tiles, and hold values where a row is scored."""

import pyarrow as pa
import pytest

from scanner.catalogue.carried import (
    CarriedColumn,
    carried_arrays,
    joined_columns,
    near_names,
    planned_columns,
    published_columns,
)
from scanner.catalogue.units import PlanError
from scanner.catalogue.visible import together


def schema_of(**types):
    return pa.schema([pa.field(name, kind, metadata={"unit": "uJy"}) for name, kind in types.items()])


def tiles(*schemas):
    return {str(i): schema for i, schema in enumerate(schemas)}


def test_types_hold_the_values_of_every_tile():
    one, two = schema_of(a=pa.int16(), b=pa.string()), schema_of(a=pa.float32())
    found = planned_columns(("c", "a", "nosuch", "b"), tiles(one, two, schema_of(a=pa.int32(), c=pa.bool_())))
    assert [(column.name, column.type) for column in found] == [("c", "bool"), ("a", "double"), ("b", "string")]
    assert found[1].field.metadata[b"unit"] == b"uJy"
    assert planned_columns(("a",), {}) == ()
    unsigned = planned_columns(("a", "b"), tiles(schema_of(a=pa.uint16(), b=pa.uint32())))
    assert [column.type for column in unsigned] == ["int32", "int64"]


def test_tiles_whose_values_do_not_fit_are_named():
    schemas = tiles(*(schema_of(a=kind, b=pa.int16()) for kind in (pa.null(), pa.int16(), pa.float32(), pa.string())))
    says = "--columns: the catalogues of the tiles do not fit together: a is int16 in tile 1 and string in tile 3$"
    with pytest.raises(PlanError, match=says):
        planned_columns(("b", "a"), schemas)
    # Another column, which only a condition needs, may differ.
    assert [column.name for column in planned_columns(("b",), schemas)] == ["b"]


def test_a_column_without_values_fits_every_type():
    schemas = [schema_of(a=pa.null(), b=pa.null(), c=pa.null()), schema_of(a=pa.float64(), b=pa.string(), c=pa.null())]
    for ordered in (schemas, schemas[::-1]):
        found = planned_columns(("a", "b", "c"), tiles(*ordered))
        assert [column.type for column in found] == ["double", "string", "string"]
    table = pa.table({"a": pa.nulls(2), "b": pa.nulls(2)})
    carried = carried_arrays(found, table, pa.array([True, True]))
    assert [values.to_pylist() for values in carried.values()] == [[None, None], ["", ""], ["", ""]]


def test_values_are_there_in_filled_rows_only():
    columns = (
        CarriedColumn(name="f", type="double"),
        CarriedColumn(name="t", type="string"),
        CarriedColumn(name="x", type="bool"),
    )
    table = pa.table({"f": pa.array([1, 2, None], pa.float32()), "t": ["a", "b", "c"]})
    found = carried_arrays(columns, table, pa.array([True, False, True]))
    assert {name: values.to_pylist() for name, values in found.items()} == {
        "cat_f": [1.0, None, None],
        "cat_t": ["a", "", "c"],
        "cat_x": [None, None, None],
    }
    assert carried_arrays(columns, None, pa.array([True]))["cat_t"].to_pylist() == [""]


def test_like_names_are_suggested():
    assert near_names("flux_vis_pf", ("flux_vis_psf", "kron_radius")) == " (did you mean flux_vis_psf?)"
    assert near_names("zzz", ("flux_vis_psf",)) == ""


def test_rows_of_scans_with_other_types_are_readtogether():
    def table(kind, value):
        return pa.table({"object_id": [1], "cat_a": pa.array([value], kind)})

    assert together([table(pa.int16(), 1), table(pa.float32(), 0.5)])["cat_a"].to_pylist() == [1.0, 0.5]
    assert together([table(pa.int16(), 1), table(pa.string(), "b"), pa.table({"object_id": [3]})])["cat_a"].to_pylist() == [
        "1",
        "b",
        None,
    ]


def test_nights_publish_each_kind_of_number_in_one_type():
    kinds = {"a": pa.int16(), "b": pa.float32(), "c": pa.string(), "d": pa.bool_()}
    fields = [CarriedColumn(name=name, type=str(kind), unit="mag").field for name, kind in kinds.items()]
    published = published_columns(pa.schema([pa.field("object_id", pa.int64()), *fields]))
    assert [(column.name, column.type, column.unit) for column in published] == [
        ("a", "int64", "mag"),
        ("b", "double", "mag"),
        ("c", "string", "mag"),
        ("d", "bool", "mag"),
    ]


def test_columns_of_nights_join_in_types_that_hold_all():
    of = {kind: CarriedColumn(name="x", type=kind) for kind in ("int64", "double", "string", "bool")}
    pairs = {
        ("int64", "int64"): "int64",
        ("int64", "double"): "double",
        ("bool", "int64"): "double",
        ("double", "string"): "string",
    }
    for (one, two), joined in pairs.items():
        assert [column.type for column in joined_columns([of[one], of[two]])] == [joined]
    other = CarriedColumn(name="y", type="int64")
    assert [column.name for column in joined_columns([other, of["bool"], other])] == ["y", "x"]
