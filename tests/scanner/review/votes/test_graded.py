"""Grades of the objects of a catalogue: the consensus, its prior, and its place beside the candidates."""

from itertools import product
from statistics import median

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable.ucd import check_ucd

from infra.store.storage import list_files
from scanner.catalogue.columns import candidate_schema
from scanner.catalogue.query import query
from scanner.review.votes.em import consensus
from scanner.review.votes.grade_arrays import grade_arrays
from scanner.review.votes.graded import (
    SCHEMA,
    consensus_grade,
    grade_views,
    graded_objects,
    grades_table,
    id_of,
    with_grades,
)
from scanner.review.votes.graded_columns import GRADED_COLUMNS
from scanner.review.votes.grades import GRADES
from scanner.review.votes.log import VoteLog
from scanner.review.votes.priors import UNKNOWN_PRIOR, priors
from scanner.review.votes.vote import subject_of
from tests.scanner.catalogue_parts import NETWORKS, finished
from tests.scanner.review.votes.made_votes import undo_of, vote_of

BIG = 2**63 - 1


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue of two nights; object 1 is in both, and 5 and 6 are no candidates."""
    root = str(tmp_path_factory.mktemp("graded") / "catalogue")
    finished(root, {"a": {1: 0.9, 2: 0.8, 5: 0.1, 6: None}}, night="2026-11-25")
    finished(root, {"a": {1: 0.95, -3: 0.7}}, night="2026-11-24")
    return root


@pytest.mark.parametrize("column", GRADED_COLUMNS, ids=lambda column: column.name)
def test_every_column_is_described(column):
    assert check_ucd(column.ucd, check_controlled_vocabulary=True)
    assert (column.unit, len(column.description) > 20) == ("", True)
    assert column.name not in candidate_schema(NETWORKS, maps=True).names


def test_priors_are_those_of_the_newest_night(root):
    found = priors(root, {1, 2, -3, 5, 6, 99})
    assert found == pytest.approx({1: 0.9, 2: 0.8, -3: 0.7, 5: 0.1})
    assert priors(root, set()) == {}


def test_a_low_score_of_the_newest_night_decides(tmp_path):
    root = str(tmp_path)
    finished(root, {"a": {1: 0.2, 2: 0.8, 3: 0.7}}, night=None)
    finished(root, {"a": {1: 0.9, 2: 0.95, 4: 0.9}}, night="2026-11-24", candidate_threshold=0.5)
    finished(root, {"a": {1: 0.01, 2: None, 5: 0.6}}, night="2026-11-25", candidate_threshold=0.5)
    assert priors(root, {1, 2, 3, 4, 5}) == pytest.approx({1: 0.01, 2: 0.95, 3: 0.7, 4: 0.9, 5: 0.6})


def test_priors_without_a_catalogue_are_unknown(tmp_path):
    assert priors(str(tmp_path), {1}) == {}


@pytest.mark.parametrize("p_graded", [0.2, 0.5, 0.9])
def test_the_consensus_is_the_median(p_graded):
    for n in (1, 2, 3, 4):
        for grades in product(GRADES, repeat=n):
            middle = median(GRADES.index(grade) for grade in grades)
            expected = np.floor(middle) if p_graded >= 0.5 else np.ceil(middle)
            assert consensus_grade(grades, p_graded) == GRADES[int(expected)]


def votes_of_five():
    """Return votes of three graders for objects 1 and 2, and of one for 5, with a gold lens between them."""
    see = {name: {"subject": subject_of(i), "object_id": i} for name, i in (("one", 1), ("two", 2), ("five", 5))}
    return [
        vote_of(1, "ann", "A", is_compound=True, **see["one"]),
        vote_of(2, "bob", "B", is_compound=True, comment="=1", **see["one"]),
        vote_of(3, "cyd", "A", **see["one"]),
        # A second view is no new opinion.
        vote_of(4, "cyd", "X", reason="star", repeat=1, **see["one"]),
        vote_of(5, "ann", "X", reason="spiral", **see["two"]),
        vote_of(6, "bob", "X", reason="ring", **see["two"]),
        vote_of(7, "cyd", "X", reason="ring", is_compound=True, **see["two"]),
        vote_of(8, "dot", "C", **see["two"]),
        vote_of(9, "ann", "X", **see["five"]),
        vote_of(10, "ann", "A", subject="gold:77", object_id=None, role="gold_lens"),
    ]


def test_each_object_has_a_row():
    votes, p_lens = votes_of_five(), {1: 0.9, 2: 0.8}
    arrays = grade_arrays(votes)
    expected = consensus(
        arrays, np.array([{"object:1": 0.9, "object:2": 0.8}.get(name, UNKNOWN_PRIOR) for name in arrays.subjects])
    )
    p_graded = dict(zip(arrays.subjects, expected.p_graded, strict=True))
    table = grades_table(votes, p_lens)
    assert table.schema == SCHEMA
    columns = ("object_id", "grade", "n_votes", "grades", "n_compound", "reason")
    assert [tuple(row[name] for name in columns) for row in table.to_pylist()] == [
        (1, "A", 3, "AAB", 2, ""),
        (2, "X", 4, "CXXX", 1, "ring"),
        (5, "X", 1, "X", 0, ""),
    ]
    assert table["p_graded"].to_pylist() == pytest.approx([p_graded[f"object:{i}"] for i in (1, 2, 5)])
    assert table["p_graded"][0].as_py() > 0.95
    assert table["p_graded"][1].as_py() < 0.1


def test_equal_reasons_are_ordered_as_the_page_shows_them():
    votes = [vote_of(1, "ann", "X", reason="star"), vote_of(1, "bob", "X", reason="spiral")]
    assert [grades_table(order, {})["reason"].to_pylist() for order in (votes, votes[::-1])] == [["spiral"]] * 2


@pytest.mark.parametrize(
    ("subject", "object_id"),
    [
        *(("object:7", 7), ("object:-12", -12), (f"object:{BIG}", BIG), (f"object:{-BIG - 1}", -BIG - 1), ("object:0", 0)),
        *((f"object:{BIG + 1}", None), ("object:007", None), ("object:-0", None), ("object:7.0", None), ("gold:7", None)),
        *(("object:1e3", None), ("object:--1", None), ("object:" + "9" * 50, None), ("object:x", None)),
    ],
)
def test_subjects_name_objects(subject, object_id):
    assert id_of(subject) == object_id


def test_a_subject_that_is_no_object_has_no_row():
    gold = vote_of(2, subject="gold:2", role="gold_nonlens")
    votes = [vote_of(1, subject="object:x", object_id=None), gold, vote_of(3, subject=subject_of(BIG), object_id=BIG)]
    assert grades_table(votes, {})["object_id"].to_pylist() == [BIG]


def test_grades_stand_beside_candidates_and_change_none(root):
    rows = query(root)
    beside = with_grades(rows, grades_table(votes_of_five(), priors(root, {1, 2, 5})))
    assert beside.select(rows.column_names).equals(rows)
    names = [column.name for column in GRADED_COLUMNS]
    assert beside.column_names == rows.column_names + names
    found = {
        (row["night"], row["object_id"]): [row[name] for name in names if name != "p_graded"] for row in beside.to_pylist()
    }
    graded = ["A", 3, "AAB", 2, ""]
    assert found == {
        ("2026-11-25", 1): graded,
        ("2026-11-24", 1): graded,
        ("2026-11-25", 2): ["X", 4, "CXXX", 1, "ring"],
        ("2026-11-24", -3): ["", 0, "", 0, ""],
    }
    assert [p is None for p in beside["p_graded"].to_pylist()] == [row["object_id"] == -3 for row in beside.to_pylist()]
    assert not beside.select(names).schema.field("grade").nullable


def test_rows_without_any_grade_have_the_same_columns(root):
    rows = query(root)
    beside = with_grades(rows, SCHEMA.empty_table())
    assert beside.schema == with_grades(rows, grades_table(votes_of_five(), {})).schema
    assert set(beside["n_votes"].to_pylist()) == {0}
    assert with_grades(rows.slice(0, 0), SCHEMA.empty_table()).num_rows == 0


def test_a_log_becomes_a_table_and_a_view(root, tmp_path):
    assert graded_objects(root).equals(SCHEMA.empty_table())
    log = VoteLog(root)
    for vote in [*votes_of_five(), vote_of(20, grade="X", subject=subject_of(2), object_id=2), undo_of(21, 20)]:
        log.append(vote)
    table = graded_objects(root)
    assert table.equals(grades_table(votes_of_five(), priors(root, {1, 2, 5})))
    sql = "SELECT c.object_id, g.grade FROM candidates c LEFT JOIN Grades g USING (object_id) ORDER BY rank, night"
    rows = query(root, sql=sql, views=grade_views(root))
    assert rows.to_pylist() == [
        {"object_id": 1, "grade": "A"},
        {"object_id": 1, "grade": "A"},
        {"object_id": -3, "grade": None},
        {"object_id": 2, "grade": "X"},
    ]
    assert [file for file in list_files(root) if "_votes" in file.uri]


def test_a_view_that_sql_does_not_name_is_not_read(root):
    views = {"grades": lambda: pytest.fail("read")}
    assert query(root, sql="SELECT count(*) AS n FROM candidates", views=views) == pa.table({"n": pa.array([4], pa.int64())})
