"""A merge adds what a log lacks, once, and changes nothing."""

import pytest

from scanner.review.votes.errors import VoteError
from scanner.review.votes.log import VoteLog
from scanner.review.votes.merge import Merged, merge, votes_in
from scanner.review.votes.vote_csv import as_csv
from tests.scanner.review.votes.made_votes import undo_of, vote_of


@pytest.fixture
def log(tmp_path):
    made = VoteLog(str(tmp_path / "catalogue"))
    made.append(vote_of(1))
    return made


def test_a_second_merge_adds_nothing(log, tmp_path):
    acts = [vote_of(1), vote_of(2, "bob", comment="=1\r\n"), undo_of(3, 1), vote_of(2, "ann")]
    (tmp_path / "votes.CSV").write_bytes(as_csv(acts).encode())
    other = VoteLog(str(tmp_path / "other"))
    assert merge(other, reversed(acts)) == Merged(4, 0)
    for source in (str(tmp_path / "votes.CSV"), other.root_uri):
        assert sorted(votes_in(source), key=lambda act: (act.graded_at, act.act_id, act.grader)) == other.votes()
    assert merge(log, votes_in(str(tmp_path / "votes.CSV")) + votes_in(other.root_uri)) == Merged(3, 1)
    assert log.votes() == other.votes()
    assert merge(log, votes_in(other.root_uri)) == Merged(0, 4)
    assert log.votes() == other.votes()


def test_a_contradiction_is_refused_before_anything_is_written(log):
    with pytest.raises(VoteError, match=f"holds another act of ann with the act_id {1:032x}"):
        merge(log, [vote_of(0), vote_of(1, grade="X")])
    with pytest.raises(VoteError, match="two acts of ann"):
        merge(log, [vote_of(5), vote_of(5, grade="X")])
    assert log.votes() == [vote_of(1)]


def test_a_source_without_votes_is_refused(tmp_path):
    with pytest.raises(VoteError, match=r"nosuch.csv: no such file"):
        votes_in(str(tmp_path / "nosuch.csv"))
    with pytest.raises(VoteError, match="nosuch: holds no votes"):
        votes_in(str(tmp_path / "nosuch"))
