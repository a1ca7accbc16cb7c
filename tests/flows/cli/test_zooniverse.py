"""`lensscan zooniverse`: what is exported comes back as votes, once."""

import json

import pytest

from flows.commands.zooniverse import answers_of
from scanner.review.votes.log import VoteLog
from scanner.review.zooniverse.manifest import ZooniverseError
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.zooniverse.exports import classification, export_of, manifest_rows


@pytest.fixture(scope="module")
def folder(lensscan, tmp_path_factory):
    """Return a folder with a catalogue of three candidates, two of which have pixels, and the subjects that were written."""
    folder = tmp_path_factory.mktemp("zooniverse")
    finished(str(folder / "catalogue"), {"a": {1: 0.9, 2: 0.8, 3: 0.7}}, maps_per_unit=2)
    done = lensscan("zooniverse", "export", "catalogue", "subjects", cwd=folder)
    assert done.stderr == ""
    assert done.stdout.startswith("2 subjects written to subjects, 0.")
    assert done.stdout.endswith("MB; 1 row without stored pixels left out\n")
    return folder


def test_what_volunteers_say_comes_back_once(lensscan, folder):
    rows = {row["#object_id"]: row for row in manifest_rows(folder / "subjects")}
    assert set(rows) == {"1", "2"}
    given = [
        classification(1, rows["1"], "Lens", answers={"T1": "=cmd"}),
        classification(2, rows["2"], "Nothing, at all", user_id="18"),
        classification(3, {"Filename": "a.png"}, "Lens"),
        classification(4, rows["1"], None),
        classification(5, rows["1"], "Lens", workflow_id="5"),
    ]
    (folder / "first.csv").write_bytes(export_of(*given))
    command = ["zooniverse", "import", "catalogue"]
    options = ["--answer", "lens=B", "--answer", "Nothing, at all=X", "--comment-task", "T1", "--workflow", "99"]
    done = lensscan(*command, "first.csv", *options, cwd=folder)
    assert done.stderr == ""
    text = "2 acts added, 0 known already; left out: 2 of other subjects or workflows, 1 without an answer to T0\n"
    assert done.stdout == text
    given.append(classification(6, rows["2"], "Lens", user_id="19"))
    (folder / "second.csv").write_bytes(export_of(*given))
    again = json.loads(lensscan(*command, "second.csv", *options, "--json", cwd=folder).stdout)
    assert again == {"n_added": 1, "n_known": 2, "n_of_others": 2, "n_unanswered": 1}
    found = VoteLog(str(folder / "catalogue")).votes()
    assert sorted((vote.grader, vote.object_id, vote.grade, vote.comment) for vote in found) == [
        ("zooniverse-17", 1, "B", "=cmd"),
        ("zooniverse-18", 2, "X", ""),
        ("zooniverse-19", 2, "B", ""),
    ]


def test_a_changed_row_adds_nothing(lensscan, folder, tmp_path):
    rows = manifest_rows(folder / "subjects")
    finished(str(tmp_path / "catalogue"), {"a": {1: 0.9}})
    changed = classification(2, rows[1] | {"#object_id": "3"})
    (tmp_path / "x.csv").write_bytes(export_of(classification(1, rows[0]), changed))
    done = lensscan("zooniverse", "import", "catalogue", "x.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("lensscan: x.csv, line 3: the subject was changed after the export")
    assert VoteLog(str(tmp_path / "catalogue")).votes() == []


def test_another_file_is_no_export(lensscan, folder):
    done = lensscan("zooniverse", "import", "catalogue", "subjects/manifest.csv", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("lensscan: subjects/manifest.csv: is no export of classifications")


def test_options_choose_the_candidates(lensscan, folder, tmp_path):
    options = ["--min-p-lens", "0.75", "--json"]
    done = json.loads(lensscan("zooniverse", "export", folder / "catalogue", tmp_path / "x", *options).stdout)
    assert (done["n_subjects"], done["n_without_picture"]) == (2, 0)
    assert {row["#object_id"] for row in manifest_rows(tmp_path / "x")} == {"1", "2"}
    refused = lensscan("zooniverse", "export", folder / "catalogue", tmp_path / "x")
    assert (refused.returncode, "not replaced without --overwrite" in refused.stderr) == (2, True)
    replaced = lensscan("zooniverse", "export", folder / "catalogue", tmp_path / "x", "--overwrite", "--top", "1")
    assert replaced.stdout.startswith("1 subject written")


def test_answers_are_read_with_their_grades():
    assert answers_of([]) == {}
    assert answers_of(["Yes, a lens = b", "a=b=X"]) == {"Yes, a lens": "B", "a=b": "X"}
    for wrong in ("Yes", "=B", "Yes=", "Yes=AB", ""):
        with pytest.raises(ZooniverseError, match="--answer must be like"):
            answers_of(["No=X", wrong])
