"""The list of a report holds each object once, with the nearest known lens."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from scanner.catalogue.known_lenses import read_known
from scanner.catalogue.wanted import Wanted
from scanner.review.report.listed import MOST_DOTS, Listed, first_rows
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import Vote, subject_of
from tests.scanner.catalogue_parts import NIGHT, finished

OTHER_NIGHT = "2026-11-25"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue in which object 1 is better in the other night, and object 2 in the first."""
    root = str(tmp_path_factory.mktemp("listed") / "catalogue")
    finished(root, {"a": {1: 0.6, 2: 0.9, 3: 0.7, 4: 0.1}})
    finished(root, {"a": {1: 0.95, 2: 0.8}}, night=OTHER_NIGHT)
    return root


def test_the_best_row_of_each_object_is_listed(root):
    found = Listed.of(root, Wanted(limit=1), 10)
    assert (found.n_objects, found.n_rows) == (3, 5)
    assert found.rows["object_id"].to_pylist() == [1, 2, 3]
    assert found.rows["p_lens"].to_pylist() == pytest.approx([0.95, 0.9, 0.7])
    assert found.nights == ((NIGHT, OTHER_NIGHT), (NIGHT, OTHER_NIGHT), (NIGHT,))
    assert [len(values) for values in found.others] == [0, 0]


def test_a_short_list_leaves_the_others_as_places(root):
    found = Listed.of(root, Wanted(), 1)
    assert (found.n_objects, found.rows["object_id"].to_pylist()) == (3, [1])
    assert [values.tolist() for values in found.others] == [[2.0, 3.0], [1.0, 1.0]]
    assert Listed.of(root, Wanted(min_p_lens=0.99), 5).n_objects == 0


def test_the_places_of_others_are_limited():
    n = MOST_DOTS + 50
    rows = pa.table({"object_id": np.arange(n), "ra": np.zeros(n), "dec": np.zeros(n), "night": [""] * n})
    assert len(Listed.chosen(rows, 10).others[0]) == MOST_DOTS


def test_known_lenses_replace_those_that_rows_have(root, tmp_path):
    path = tmp_path / "known.csv"
    path.write_text("ra,dec,name,grade\n2.0,1.0001,L2,A\n")
    known = read_known(str(path))
    found = Listed.of(root, Wanted(), 10, known).rows
    assert found["known_name"].to_pylist() == [None, "L2", None]
    assert found["known_separation_arcsec"].to_pylist()[1] == pytest.approx(0.36)
    again = Listed.chosen(found.append_column("x", pa.array([1, 2, 3])), 10, known).rows
    assert again.column_names.count("known_name") == 1
    assert again["known_grade"].to_pylist() == [None, "A", None]


def test_first_rows_keep_the_order():
    assert first_rows(np.array([5, 3, 5, 1, 3])).tolist() == [0, 1, 3]


def test_votes_give_the_rows_columns_of_grades(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.6, 2: 0.9}})
    assert "grade" not in Listed.of(root, Wanted(), 10).rows.column_names
    vote = {"act_id": "0" * 32, "act": "grade", "grader": "ann", "subject": subject_of(1), "object_id": 1, "grade": "A"}
    VoteLog(root).append(Vote(**vote, graded_at=datetime(2026, 11, 24, 3, tzinfo=UTC)))
    rows = Listed.of(root, Wanted(), 10).rows
    assert rows.select(["object_id", "grade", "n_votes"]).to_pylist() == [
        {"object_id": 2, "grade": "", "n_votes": 0},
        {"object_id": 1, "grade": "A", "n_votes": 1},
    ]
