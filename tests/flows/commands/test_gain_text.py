"""The table of gains has a row for each ensemble and each set of objects."""

import numpy as np

from flows.cli.train import GAIN_COLUMNS
from flows.commands.gain_text import gain_rows
from training.grade_gain import Compared, GradeGain, separation

IS_LENS = np.array([1, 0, 1, 0], bool)


def test_rows_have_all_columns_and_empty_cells():
    before, after = (separation(np.array(p), IS_LENS) for p in ([0.9, 0.8, 0.1, 0.2], [0.9, 0.1, 0.8, 0.2]))
    gain = GradeGain(
        graded=Compared(n_lenses=2, n_others=2, before=before, after=after),
        simulated=Compared(n_lenses=0, n_others=0, before=None, after=None),
    )
    rows = gain_rows(gain)
    assert all(tuple(row) == GAIN_COLUMNS for row in rows)
    assert [(row["objects"], row["ensemble"]) for row in rows] == [
        ("graded, held out", "before"),
        ("graded, held out", "after"),
        ("simulated, test split", "before"),
        ("simulated, test split", "after"),
    ]
    assert [row["AUROC"] for row in rows] == ["0.500", "1.000", "", ""]
    assert rows[1]["inspected at 75 %"].startswith("1.00 (")
    assert rows[0]["inspected at 75 %"].startswith("2.00 (")
