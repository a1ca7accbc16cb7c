"""No vote is lost and none counts twice, although the server is killed while votes arrive and each is sent twice."""

import http.client
import json
import random
import threading
import time

import pytest

from scanner.catalogue.paths import votes_uri
from scanner.review.votes.log import VoteLog
from tests.faults.harness.patience import wait_for
from tests.servers import free_port
from tests.vetting import Client, Command, act_of, catalogue_of

N_SENDERS = 3


class Sender(threading.Thread):
    """Sends acts one after the other, each twice, and again until the server has acknowledged it both times."""

    def __init__(self, keys, ways):
        super().__init__()
        self.keys, self.ways = keys, ways
        self.acknowledged, self.errors = [], []
        self.should_end = threading.Event()

    def run(self):
        while not self.should_end.is_set():
            act = act_of(random.choice(self.keys), random.choice("ABCX"))
            twins = [threading.Thread(target=self.send, args=(act,)) for _ in range(2)]
            for twin in twins:
                twin.start()
            for twin in twins:
                twin.join()
            self.acknowledged.append(act["act_id"])

    def send(self, act):
        while True:
            try:
                status, _, body = self.ways[-1].ask("/api/acts", {"acts": [act]})
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
                continue
            if status == 200:
                break
            # The token of the server before the last kill.
            time.sleep(0.02)
        if json.loads(body)["stored"] != [act["act_id"]]:
            self.errors.append(body)


def killed_again_and_again(root, n_rounds):
    """Kill the server `n_rounds` times while votes arrive; return the ids of the acts that were acknowledged."""
    options = (root, "--grader", "anna", "--gold", "0", "--port", free_port())
    running = Command(*options)
    ways = [Client.of_address(running.address)]
    keys = [key for key, _ in ways[0].json("/api/state")["items"]]
    senders = [Sender(keys, ways) for _ in range(N_SENDERS)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(n_rounds):
            before = sum(len(sender.acknowledged) for sender in senders)
            wait_for("votes", lambda n=before: sum(len(sender.acknowledged) for sender in senders) > n + 3)
            time.sleep(random.random() / 20)
            running.kill()
            running = Command(*options)
            ways.append(Client.of_address(running.address))
        for sender in senders:
            sender.should_end.set()
        for sender in senders:
            sender.join()
        shown = {act["act_id"] for act in ways[-1].json("/api/state")["acts"]}
    finally:
        for sender in senders:
            sender.should_end.set()
        running.kill()
    assert [error for sender in senders for error in sender.errors] == []
    acknowledged = [name for sender in senders for name in sender.acknowledged]
    assert shown == set(acknowledged)
    return acknowledged


def check_rounds(root, n_rounds):
    catalogue_of(root)
    acknowledged = killed_again_and_again(root, n_rounds)
    votes = VoteLog(str(root)).votes()
    assert len(acknowledged) > 3 * n_rounds
    assert sorted(vote.act_id for vote in votes) == sorted(acknowledged)
    left = [path.name for path in root.joinpath(votes_uri("").strip("/")).rglob("*") if path.is_file()]
    assert sorted(left) == sorted(f"{name}.json" for name in acknowledged)


def test_kills_lose_no_vote_and_double_none(tmp_path):
    check_rounds(tmp_path, 2)


@pytest.mark.slow
def test_fifty_kills_lose_no_vote_and_double_none(tmp_path):
    check_rounds(tmp_path, 50)
