"""Nothing without a finite value takes part in a comparison."""

import numpy as np
import pyarrow as pa
import pytest

from scanner.sources.condition_values import arithmetic, call, column_value, comparison, is_null, joined, literal, negated

NUMBERS = column_value(pa.chunked_array([pa.array([1.0, -1.0, np.nan, np.inf, None, 0.0])]))


def test_a_number_that_is_not_finite_is_null():
    assert NUMBERS.data.to_pylist() == [1.0, -1.0, None, None, None, 0.0]
    assert is_null(NUMBERS).data.to_pylist() == [False, False, True, True, True, False]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log10", [0.0, None, None, None, None, None]),
        ("sqrt", [1.0, None, None, None, None, 0.0]),
        ("mag", [23.9, None, None, None, None, None]),
    ],
)
def test_a_function_is_null_where_it_is_not_defined(name, expected):
    assert call(name, NUMBERS).data.to_pylist() == expected


def test_a_division_by_zero_is_null():
    integers = column_value(pa.chunked_array([pa.array([0, 2], pa.uint8())]))
    assert arithmetic("/", literal(1), integers).data.to_pylist() == [None, 0.5]
    assert arithmetic("/", integers, literal(4)).data.to_pylist() == [0.0, 0.5]


def test_a_column_without_values_fits_numbers_and_texts():
    empty = column_value(pa.chunked_array([pa.nulls(2)]))
    assert comparison(">", empty, literal(1.5)).data.to_pylist() == [None, None]
    assert comparison("=", arithmetic("&", empty, literal(4)), literal(0)).data.to_pylist() == [None, None]
    assert comparison("<>", literal("star"), empty).data.to_pylist() == [True, True]
    texts = column_value(pa.chunked_array([["", "bad", None]]))
    assert [is_null(of).data.to_pylist() for of in (empty, texts)] == [[True, True], [True, False, True]]


def test_null_spreads_as_in_sql():
    truth = column_value(pa.chunked_array([[True, False, None]]))
    null = comparison("=", column_value(pa.chunked_array([pa.nulls(3, pa.float64())])), literal(1))
    assert joined("and", truth, null).data.to_pylist() == [None, False, None]
    assert joined("or", truth, null).data.to_pylist() == [True, None, None]
    assert negated(truth).data.to_pylist() == [False, True, None]
