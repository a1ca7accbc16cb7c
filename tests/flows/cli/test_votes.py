"""`lensscan votes`, and the grades that `query` and `export` show."""

import csv
import json

import pytest

from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import subject_of
from scanner.review.votes.vote_csv import as_csv
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.votes.made_votes import undo_of, vote_of


@pytest.fixture(scope="module")
def made(lensscan, tmp_path_factory):
    """Return a folder with a catalogue of three candidates, two of which have been graded, and the text of the merge."""
    folder = tmp_path_factory.mktemp("votes")
    finished(str(folder / "catalogue"), {"a": {1: 0.9, 2: 0.8, 3: 0.7}})
    votes = [
        vote_of(1, "ann", "A", is_compound=True, decision_s=2),
        vote_of(2, "ann", "X", reason="ring"),
        vote_of(3, "bob", "B", subject=subject_of(1), object_id=1),
        vote_of(4, "bob", "X", subject=subject_of(2), object_id=2),
        *(vote_of(5, name, "A", subject="gold:5", object_id=None, role="gold_lens") for name in ("ann", "bob")),
        vote_of(6, "ann", "B", subject="gold:6", object_id=None, role="gold_nonlens"),
    ]
    (folder / "votes.csv").write_text(as_csv(votes))
    done = lensscan("votes", "merge", "catalogue", "votes.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_merge_says_what_is_new(lensscan, made):
    folder, text = made
    assert text == "7 acts added, 0 known already\n"
    again = lensscan("votes", "merge", "catalogue", "votes.csv", "catalogue", "--json", cwd=folder)
    assert json.loads(again.stdout) == {"n_added": 0, "n_known": 7}


def test_show_says_who_found_what(lensscan, made):
    folder, _ = made
    done = lensscan("votes", "show", "catalogue", cwd=folder, COLUMNS="130")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "votes          7 that count, of 7 acts of 2 graders",
        "objects        2 graded: 1 A, 0 B, 0 C, 1 X",
        "known answers  2 subjects",
    ]
    assert lines[3].startswith("agreement      alpha ")
    assert "100% (21-100) of 1" in done.stdout
    assert "none shown" in done.stdout
    assert sum("others" in line for line in lines[6:]) >= 2
    found = json.loads(lensscan("votes", "show", "catalogue", "--json", cwd=folder).stdout)
    assert found["n_by_grade"] == {"A": 1, "B": 0, "C": 0, "X": 1}
    assert found["graders"]["ann"]["skill"]["false_positives"]["n"] == 1
    assert set(found["graders"]["bob"]["of_lenses"]) == set("ABCX")


def test_show_says_that_all_grades_were_taken_back(lensscan, tmp_path):
    finished(str(tmp_path / "catalogue"), {"a": {1: 0.9}})
    (tmp_path / "votes.csv").write_text(as_csv([vote_of(1), undo_of(2, 1)]))
    assert lensscan("votes", "merge", "catalogue", "votes.csv", cwd=tmp_path).returncode == 0
    done = lensscan("votes", "show", "catalogue", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "No grade counts: all were taken back."
    assert json.loads(lensscan("votes", "show", "catalogue", "--json", cwd=tmp_path).stdout)["graders"] == {}


def test_write_has_a_row_for_each_object(lensscan, made, tmp_path):
    folder, _ = made
    done = lensscan("votes", "write", "catalogue", tmp_path / "x.csv", cwd=folder)
    assert done.stdout == f"2 rows written to {tmp_path / 'x.csv'}\n"
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [(row["object_id"], row["grade"], row["reason"]) for row in rows] == [("1", "A", ""), ("2", "X", "ring")]
    done = lensscan("votes", "write", "catalogue", tmp_path / "y.csv", "--acts", "--json", cwd=folder)
    assert json.loads(done.stdout)["rows"] == 7
    assert lensscan("votes", "write", "catalogue", tmp_path / "y.csv", "--acts", cwd=folder).returncode == 2
    assert lensscan("votes", "write", "catalogue", tmp_path / "y.csv", "--overwrite", cwd=folder).stdout.startswith("2 rows")


def test_query_and_export_show_grades(lensscan, made, tmp_path):
    folder, _ = made
    rows = json.loads(lensscan("query", "catalogue", "--grades", "--json", cwd=folder).stdout)
    assert [(row["object_id"], row["grade"], row["n_votes"], row["n_compound"]) for row in rows] == [
        (1, "A", 2, 1),
        (2, "X", 2, 0),
        (3, "", 0, 0),
    ]
    assert rows[0]["p_lens"] == pytest.approx(0.9)
    assert rows[2]["p_graded"] is None
    plain = json.loads(lensscan("query", "catalogue", "--json", cwd=folder).stdout)
    assert [{name: row[name] for name in plain[0]} for row in rows] == plain
    assert "grade" not in plain[0]
    table = lensscan("query", "catalogue", "--grades", "--limit", "1", cwd=folder, COLUMNS="120").stdout
    assert all(word in table for word in ("p_graded", "n_votes", "reason", "1 of 3 candidates"))
    for command in (("export", "catalogue", "x.json"), ("query", "catalogue", "--out", "y.json")):
        done = lensscan(*command, "--grades", "--overwrite", cwd=folder)
        assert json.loads((folder / command[-1]).read_text()) == [{**row} for row in rows], done.stderr


def test_sql_has_a_view_of_grades(lensscan, made):
    folder, _ = made
    sql = "select c.object_id, grade from candidates c join grades using (object_id) where grade = 'A'"
    assert json.loads(lensscan("query", "catalogue", "--sql", sql, "--json", cwd=folder).stdout) == [
        {"object_id": 1, "grade": "A"}
    ]
    refused = lensscan("query", "catalogue", "--sql", sql, "--grades", cwd=folder)
    assert (refused.returncode, "--sql or --grades, not both" in refused.stderr) == (2, True)


def test_a_damaged_vote_is_one_line(lensscan, made, tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9}})
    VoteLog(root).append(vote_of(1))
    (path,) = (tmp_path / "catalogue" / "_votes").rglob("*.json")
    path.write_text("{")
    for command in (("votes", "show", root), ("query", root, "--grades"), ("votes", "merge", root, "votes.csv")):
        done = lensscan(*command, cwd=made[0])
        assert (done.returncode, done.stderr.count("\n"), str(path) in done.stderr) == (2, 1, True)
    assert lensscan("query", root).returncode == 0
