"""Columns of the list go behind the scores, and never under one name with them."""

import pyarrow as pa

from scanner.catalogue.columns import score_fields
from scanner.catalogue.object_table import object_table


def test_clashing_names_are_renamed_in_any_case():
    fields = score_fields(["a"])
    scores = pa.table({field.name: pa.nulls(1, field.type) for field in fields}, schema=pa.schema(fields))
    names = ["mag", "P_LENS", "Mag", "RA", "input_ra", "input_Mag"]
    others = {name: pa.chunked_array([[number]]) for number, name in enumerate(names)}
    found = object_table(pa.array([7]), scores, [1.0], [2.0], others)
    added = found.column_names[-len(names) :]
    assert added == ["mag", "input_P_LENS", "input_Mag", "input_RA", "input_input_ra", "input_input_Mag"]
    assert [found[name][0].as_py() for name in added] == list(range(len(names)))
    assert len({name.lower() for name in found.column_names}) == found.num_columns
