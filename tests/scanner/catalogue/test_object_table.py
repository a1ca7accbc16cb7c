"""Columns of the list go behind the scores, and never under one name with them."""

import pyarrow as pa

from scanner.catalogue.columns import CANDIDATE, score_fields
from scanner.catalogue.object_table import object_table, with_candidates


def test_clashing_names_are_renamed_in_any_case():
    fields = score_fields(["a"])
    scores = pa.table({field.name: pa.nulls(1, field.type) for field in fields}, schema=pa.schema(fields))
    names = ["mag", "P_LENS", "Mag", "RA", "input_ra", "input_Mag", "Candidate"]
    others = {name: pa.chunked_array([[number]]) for number, name in enumerate(names)}
    found = object_table(pa.array([7]), scores, [1.0], [2.0], others)
    added = found.column_names[-len(names) :]
    assert added == ["mag", "input_P_LENS", "input_Mag", "input_RA", "input_input_ra", "input_input_Mag", "input_Candidate"]
    assert [found[name][0].as_py() for name in added] == list(range(len(names)))
    assert len({name.lower() for name in found.column_names}) == found.num_columns


def test_candidates_reach_the_threshold():
    fields = score_fields(["a"])
    scores = pa.table({field.name: pa.nulls(3, field.type) for field in fields}, schema=pa.schema(fields))
    scores = scores.set_column(
        scores.column_names.index("p_lens"), scores.schema.field("p_lens"), pa.array([0.5, 0.25, None], pa.float32())
    )
    found = with_candidates(object_table(pa.array([1, 2, 3]), scores, [1.0] * 3, [2.0] * 3, {}), 0.5)
    assert found["candidate"].to_pylist() == [True, False, False]
    assert found.column_names.index("candidate") == found.column_names.index("p_lens") + 1
    assert found.schema.field("candidate").equals(CANDIDATE.field(), check_metadata=True)
