import numpy as np
import pyarrow as pa
import pytest

from tests.benchmarks.recorded import largest_difference

THEIRS = {"a": np.array([0.1, 0.2, 0.3], np.float32), "b": np.array([0.5, 0.5, 0.5], np.float32)}


def catalogue(ids, precisions, a, b):
    scores = {f"p_{name}": pa.array(values, pa.float32()) for name, values in (("a", a), ("b", b))}
    return pa.table({"object_id": pa.array(ids), "precision": precisions, **scores})


def test_scores_are_matched_by_object_in_any_order():
    table = catalogue([2, 0, 1], ["float32"] * 3, [0.3, 0.1, 0.25], [0.5, 0.51, 0.5])

    assert largest_difference(table, THEIRS, "float32") == pytest.approx(0.05)


def test_only_rows_of_the_given_precision_are_compared():
    table = catalogue([0, 1, 2, 3], ["float32", "bfloat16", "", "bfloat16"], [0.1, 0.19, 0.9, 0.9], [0.5, 0.52, 0.9, 0.9])

    assert largest_difference(table, THEIRS, "bfloat16") == pytest.approx(0.02)
    assert largest_difference(table, THEIRS, "float32") == 0


def test_a_comparison_without_common_rows_is_an_error():
    with pytest.raises(ValueError, match="no row scored in bfloat16 is among the 3"):
        largest_difference(catalogue([0, 5], ["float32", "bfloat16"], [0.1, 0.2], [0.5, 0.5]), THEIRS, "bfloat16")
