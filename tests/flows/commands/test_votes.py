"""The commands about votes, called as functions."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.commands.votes import (
    SEED,
    VotesArgumentsError,
    merge_into,
    summary_of,
    write_acts,
    write_grades,
)
from infra.errors import LensscanError
from scanner.catalogue.export import ExportError
from scanner.review.votes.errors import VoteError
from scanner.review.votes.graded import SCHEMA, graded_objects
from scanner.review.votes.log import VoteLog
from scanner.review.votes.merge import Merged
from scanner.review.votes.summary import summary
from scanner.review.votes.vote_csv import as_csv
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.votes.made_votes import HOSTILE, vote_of


@pytest.fixture
def root(tmp_path):
    finished(str(tmp_path / "catalogue"), {"a": {1: 0.9, 2: 0.8}})
    return str(tmp_path / "catalogue")


@pytest.fixture
def downloads(tmp_path):
    """Return the files that two graders downloaded from pages."""
    for name in ("ann", "bob"):
        acts = [vote_of(n, name, comment=text, subject="object:1", object_id=1) for n, text in enumerate(HOSTILE)]
        (tmp_path / f"{name}.csv").write_bytes(as_csv(acts).encode())
    return [str(tmp_path / f"{name}.csv") for name in ("ann", "bob")]


def test_what_graders_download_goes_round(root, downloads, tmp_path):
    n = len(HOSTILE)
    assert merge_into(root, downloads) == Merged(2 * n, 0)
    assert merge_into(root, downloads[:1]) == Merged(0, n)
    assert write_acts(root, str(tmp_path / "all.csv"), overwrite=False) == 2 * n
    assert (tmp_path / "all.csv").read_bytes().startswith(b"\xef\xbb\xbfact_id,")
    other = str(tmp_path / "other")
    finished(other, {"a": {1: 0.9}})
    assert merge_into(other, [str(tmp_path / "all.csv"), root]) == Merged(2 * n, 0)
    assert VoteLog(other).votes() == VoteLog(root).votes()
    found = summary_of(root)
    # Each grader has a last word on object 1.
    assert (found.n_acts, found.n_votes, found.n_objects) == (2 * n, 2, 1)
    acts = VoteLog(root).votes()
    assert found.graders == summary(acts, {1: float(np.float32(0.9))}, SEED).graders
    assert found.graders != summary(acts, {}, SEED).graders


PLACE = ["candidate_id", "ra", "dec"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_grades_are_written(root, downloads, tmp_path, suffix):
    merge_into(root, downloads)
    path = tmp_path / f"grades{suffix}"
    assert write_grades(root, str(path), overwrite=False) == 1
    with pytest.raises(ExportError, match="exists; it is not replaced without --overwrite"):
        write_grades(root, str(path), overwrite=False)
    assert write_grades(root, str(path), overwrite=True) == 1
    if suffix == ".parquet":
        table = pq.read_table(path)
        assert table.drop_columns(PLACE).equals(graded_objects(root))
        assert table.select(PLACE).to_pylist() == [{"candidate_id": None, "ra": 1.0, "dec": 1.0}]
        assert table.schema.field("p_graded").metadata[b"ucd"] == b"stat.probability"
    else:
        text = path.read_text()
        (row,) = json.loads(text) if suffix == ".json" else csv.DictReader(text.splitlines())
        assert [*row] == ["object_id", *PLACE, *SCHEMA.names[1:]]
        assert [str(row[name]) for name in ("object_id", "grade", "n_votes", "grades")] == ["1", "A", "2", "AA"]


def test_a_wrong_merge_adds_nothing(root, downloads, tmp_path):
    for sources, error, message in (
        ([], VotesArgumentsError, "name CSV files, or catalogues"),
        ([downloads[0], str(tmp_path / "nosuch.csv")], VoteError, "nosuch.csv: no such file"),
        ([downloads[0], str(tmp_path / "nosuch")], VoteError, "nosuch: holds no votes"),
    ):
        with pytest.raises(error, match=message):
            merge_into(root, sources)
    with pytest.raises(VotesArgumentsError, match="nosuch: no catalogue"):
        merge_into(str(tmp_path / "nosuch"), downloads)
    assert VoteLog(root).votes() == []
    assert not (tmp_path / "nosuch").exists()


def test_a_log_without_a_catalogue_takes_votes_too(tmp_path, downloads):
    """A folder that other votes are in already, without a scan."""
    VoteLog(str(tmp_path / "votes")).append(vote_of(99))
    assert merge_into(str(tmp_path / "votes"), downloads[:1]) == Merged(len(HOSTILE), 0)


def test_acts_are_csv_only(root, downloads, tmp_path):
    merge_into(root, downloads)
    with pytest.raises(VotesArgumentsError, match=r"with --acts, FILE must end in .csv, got .*x.json"):
        write_acts(root, str(tmp_path / "x.json"), overwrite=False)


@pytest.mark.parametrize("call", [summary_of, lambda root: write_grades(root, f"{root}/../x.csv", overwrite=False)])
def test_a_catalogue_without_votes_is_named(root, call):
    with pytest.raises(LensscanError, match="catalogue: holds no votes"):
        call(root)
