"""The log holds each act once and unchanged, whatever is sent twice, killed or damaged."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta, timezone

import pyarrow.dataset as ds
import pytest

from infra.store.storage import CreateOutcome, create_if_absent, list_files, read_bytes
from scanner.catalogue.paths import vote_uri, votes_uri
from scanner.review.votes.errors import VoteError
from scanner.review.votes.log import VoteLog
from tests.scanner.catalogue_parts import finished
from tests.scanner.review.votes.made_votes import HOSTILE, START, undo_of, vote_of

DRIVER = "tests.scanner.review.votes.append_driver"


@pytest.fixture(params=["path", "file", pytest.param("s3", marks=pytest.mark.server)])
def log(request, tmp_path):
    if request.param == "s3":
        return VoteLog(request.getfixturevalue("s3"))
    return VoteLog(f"{'file://' if request.param == 'file' else ''}{tmp_path}/catalogue/")


def test_acts_are_read_back_by_time(log):
    later, same_time = vote_of(1, graded_at=START + timedelta(hours=1)), vote_of(0, graded_at=START + timedelta(seconds=2))
    acts = [later, undo_of(3, 1), vote_of(2, "bob", "X", reason="ring"), same_time, vote_of(2, "ann")]
    assert log.votes() == []
    assert {log.append(act) for act in acts} == {CreateOutcome.CREATED}
    assert log.votes() == [same_time, acts[4], acts[2], acts[1], later]
    assert log.votes("bob") == [acts[2]]
    assert log.votes("bo") == log.votes("bobby") == []


def test_an_act_that_is_sent_twice_is_one_file(log):
    act = vote_of(1)
    assert [log.append(act), log.append(act)] == [CreateOutcome.CREATED, CreateOutcome.ALREADY_MINE]
    elsewhere = act.model_copy(update={"graded_at": act.graded_at.astimezone(timezone(timedelta(hours=-10)))})
    assert log.append(elsewhere) is CreateOutcome.ALREADY_MINE
    assert log.votes() == [act]


@pytest.mark.parametrize("change", [{"grade": "B"}, {"comment": "other"}, {"graded_at": START}, {"role": "gold_lens"}])
def test_another_act_of_the_same_id_is_refused(log, change):
    act = vote_of(1)
    log.append(act)
    with pytest.raises(VoteError, match=f"grader=ann/{act.act_id}.json: holds another act of ann under this act_id"):
        log.append(act.model_copy(update=change))
    assert log.votes() == [act]


def test_graders_may_use_the_same_id(log):
    acts = [vote_of(1, "ann", "A"), vote_of(1, "bob", "X")]
    assert [log.append(act) for act in acts] == [CreateOutcome.CREATED] * 2
    assert log.votes() == acts


def test_hostile_comments_are_text(log):
    acts = [vote_of(number, comment=text, page_version=text[:64]) for number, text in enumerate(HOSTILE)]
    for act in acts:
        log.append(act)
    assert log.votes() == acts


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "is no vote"),
        (lambda _: b"", "is no vote"),
        (lambda data: data.replace(b'"A"', b'"E"'), "is no vote .grade: Input should be 'A', 'B', 'C' or 'X'"),
        (lambda data: data.replace(b"ann", b"bob"), "holds the act that belongs in /_votes/grader=bob/0"),
        (lambda data: data.replace(b'0001",', b'0002",'), "holds the act that belongs in /_votes/grader=ann/0*2.json"),
    ],
)
def test_a_damaged_file_is_named(log, damage, message):
    act = vote_of(1)
    uri = vote_uri(log.root_uri, "ann", act.act_id)
    create_if_absent(uri, damage(act.model_dump_json().encode()), "test")
    log.append(vote_of(2))
    with pytest.raises(VoteError, match=f"{uri}: {message}.*; restore the file from a copy, or move it out"):
        log.votes()
    with pytest.raises(VoteError, match=uri):
        log.append(act)


def test_readers_of_a_catalogue_see_no_votes(tmp_path):
    root = str(tmp_path / "catalogue")
    finished(root, {"a": {1: 0.9}})
    before = ds.dataset(root).files
    VoteLog(root).append(vote_of(1))
    assert ds.dataset(root, exclude_invalid_files=False).files == before
    assert read_bytes(vote_uri(root, "ann", vote_of(1).act_id)).startswith(b'{"act_id":"')


def run_until_killed(root, first, pause_s):
    """Append votes from the number `first` on, in a process that is killed after its first vote and a pause.

    Returns:
        The numbers of the votes that it said were stored.
    """
    process = subprocess.Popen([sys.executable, "-m", DRIVER, root, str(first)], stdout=subprocess.PIPE, env=os.environ)
    try:
        said = process.stdout.readline()
        time.sleep(pause_s)
    finally:
        process.kill()
        said += process.stdout.read()
        process.stdout.close()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    # A line that the kill cut off is no answer.
    return [int(line) for line in said.decode().split("\n")[:-1]]


def kill_rounds(root, n_rounds):
    draw, told = random.Random(n_rounds), set()
    # A vote takes much longer over S3.
    longest_s = 0.3 if root.startswith("s3") else 0.05
    for _ in range(n_rounds):
        # As a page does, the next process sends again what was not answered.
        told |= set(run_until_killed(root, max(told, default=-1) + 1, draw.uniform(0, longest_s)))
    kept = VoteLog(root).votes()
    numbers = [vote.object_id for vote in kept]
    assert told <= set(numbers)
    assert len(numbers) == len(set(numbers)) == len(list_files(votes_uri(root)))
    assert kept == [vote_of(number) for number in sorted(numbers)]
    return len(told), len(numbers)


def test_kills_lose_no_vote_and_double_none(tmp_path):
    kill_rounds(str(tmp_path), 3)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".json"] == []


def test_a_kill_at_any_step_leaves_all_or_nothing(tmp_path):
    """At each step of a creation a process is killed; then the same vote is appended again."""
    command = [sys.executable, "-m", "tests.scanner.review.votes.crash_driver", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout
    assert said.splitlines() == [
        "create killed, 0 votes, created",
        "sync killed, 1 votes, created",
        "link killed, 2 votes, created",
        "linked killed, 4 votes, already_mine",
        "created killed, 5 votes, already_mine",
    ]
    assert VoteLog(str(tmp_path)).votes() == [vote_of(number) for number in range(5)]


@pytest.mark.server
def test_kills_lose_no_vote_in_a_store(s3):
    kill_rounds(s3, 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["path", pytest.param("s3", marks=pytest.mark.server)])
def test_fifty_kills_lose_no_vote(request, tmp_path, kind):
    root, n_rounds = (request.getfixturevalue("s3"), 10) if kind == "s3" else (str(tmp_path), 50)
    n_told, n_kept = kill_rounds(root, n_rounds)
    assert n_told >= n_rounds
    sys.stdout.write(f"{n_rounds} kills in a {kind}: {n_told} votes answered, {n_kept} kept\n")
