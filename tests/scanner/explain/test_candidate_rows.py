from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import Table

from scanner.explain.candidate_rows import as_mappings
from scanner.explain.figure_files import FigureError

ROWS = [{"name": "a", "p": 0.25}, {"name": "b", "p": 0.5}]


@pytest.mark.parametrize("many", [ROWS, iter(ROWS), pa.Table.from_pylist(ROWS), pd.DataFrame(ROWS), Table(ROWS)])
def test_rows_of_every_library(many):
    assert [dict(row) for row in as_mappings(many)] == ROWS


@pytest.mark.parametrize("one", [ROWS[1], pd.DataFrame(ROWS).iloc[1], Table(ROWS)[1], pa.array(ROWS)[1]])
def test_one_row_of_every_library(one):
    assert [dict(row) for row in as_mappings(one)] == ROWS[1:]


def test_a_list_of_series():
    assert [dict(row) for row in as_mappings([row for _, row in pd.DataFrame(ROWS).iterrows()])] == ROWS


@pytest.mark.parametrize("other", ["catalogue/", Path("catalogue"), None, pd.NA, 5, [None], ["a"], pa.array([1]), pa.scalar(1)])
def test_what_is_no_row_is_refused(other):
    with pytest.raises(FigureError, match=r"^rows must be a candidate, or a table or list of candidates, got "):
        as_mappings(other)
