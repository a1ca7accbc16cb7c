"""Notes of a batch, and those of some of its rows."""

import numpy as np

from scanner.sources.registration_notes import BatchNotes


def test_notes_of_some_rows_are_those_of_the_rows():
    some = BatchNotes([("a",), (), ("b",), ("c", "d")], np.float32([0.1, np.nan, 0.3, 0.4])).of(
        np.array([True, False, False, True])
    )
    assert some.notes == [("a",), ("c", "d")]
    assert some.shift_arcsec.tolist() == np.float32([0.1, 0.4]).tolist()
