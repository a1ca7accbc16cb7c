"""Creations on a store with lost, refusing, late or false replies leave one object of a known writer and delete nothing."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store import s3_client
from infra.store.removal import remove
from infra.store.s3 import CREATE_TRIES, read_range
from infra.store.storage import (
    CreateOutcome,
    StorageError,
    create_if_absent,
    exists,
    info,
    join,
    list_files,
    probe,
    read_bytes,
)
from scanner.catalogue.ledger import Outcome, pending, publish
from tests.faults.harness import harm
from tests.faults.harness.patience import busyness
from tests.faults.harness.s3_proxy import LostReply, Refuse, Rule, Silence, Status
from tests.scanner.catalogue_parts import plan_of, random_scores

pytestmark = pytest.mark.server

MOST_REQUESTS = CREATE_TRIES * (s3_client.REQUEST_TRIES * 3)
"""Largest number of requests of one creation: a put, a HEAD and a read in each try, all of them retried by botocore."""


@pytest.fixture
def uri(s3):
    return join(s3, "unit.parquet")


@pytest.fixture
def hurried(monkeypatch):
    """Set deadlines of seconds in place of a minute, for clients that are made from now on."""
    monkeypatch.setattr(s3_client, "DEADLINE_S", 2.0)
    monkeypatch.setattr(s3_client, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(s3_client, "CONNECT_TIMEOUT_S", 1.0)
    monkeypatch.setattr(s3_client, "REQUEST_TRIES", 2)


def objects(s3):
    return [file.uri.rpartition("/")[2] for file in list_files(s3)]


@pytest.mark.fault(13)
@pytest.mark.parametrize("times", [1, 3, pytest.param(s3_client.REQUEST_TRIES + 1, marks=pytest.mark.faults)])
def test_a_creation_with_a_lost_reply_is_recognised(proxy, s3, uri, times, measured):
    proxy.set_rules(Rule(LostReply(), "PUT", times=times))
    begun = time.monotonic()
    assert create_if_absent(uri, b"mine", "1") is CreateOutcome.ALREADY_MINE
    measured(runs=times, recovery_s=time.monotonic() - begun)
    assert create_if_absent(uri, b"other", "2") is CreateOutcome.EXISTS
    assert (read_bytes(uri), objects(s3)) == (b"mine", ["unit.parquet"])
    assert proxy.count("DELETE") == 0


@dataclass(frozen=True)
class DeletedAndMadeAnew(LostReply):
    """A deletion whose reply is lost; another file gets the name before the client can retry."""

    do: Callable[[], object]

    def apply(self, proxied):
        proxied.ask_upstream()
        self.do()
        proxied.hang_up()


@pytest.mark.fault(32)
def test_a_deletion_with_a_lost_reply_is_not_repeated(proxy, uri):
    """The deletion is sent only once, so this holds even for stores without If-Match."""
    create_if_absent(uri, b"damaged", "1")
    file = info(uri)
    proxy.set_rules(Rule(DeletedAndMadeAnew(lambda: create_if_absent(uri, b"anew", "2")), "DELETE", times=1))
    with pytest.raises(StorageError, match=r"unit\.parquet: changed"):
        remove(file)
    assert read_bytes(uri) == b"anew"
    assert proxy.count("DELETE") == 1


@pytest.mark.fault(32)
def test_a_refused_deletion_keeps_the_file(proxy, uri):
    create_if_absent(uri, b"damaged", "1")
    file = info(uri)
    proxy.set_rules(Rule(Refuse(), "DELETE", times=1))
    with pytest.raises(StorageError, match=r"unit\.parquet: "):
        remove(file)
    assert read_bytes(uri) == b"damaged"
    proxy.set_rules(Rule(LostReply(), "DELETE", times=1))
    remove(file)
    remove(file)
    assert not exists(uri)


@pytest.mark.fault(13)
def test_a_commit_with_a_lost_reply_happens_once(proxy, s3, rng, measured):
    plan = plan_of({"a": list(range(20)), "b": list(range(20, 50))})
    proxy.set_rules(Rule(LostReply(), "PUT", times=1))
    written = [random_scores(rng, ids) for ids in (range(20), range(20, 50))]
    for unit, table in zip(plan.units, written, strict=True):
        receipt = publish(table, unit, plan, s3, f"attempt-{unit.unit_id}")
        assert (receipt.outcome, receipt.attempt) == (Outcome.COMMITTED, f"attempt-{unit.unit_id}")
        again = publish(random_scores(rng, table["object_id"].to_pylist()), unit, plan, s3, "later")
        assert (again.outcome, again.attempt) == (Outcome.LOST_RACE, f"attempt-{unit.unit_id}")
    found = pa.concat_tables(pq.read_table(pa.BufferReader(read_bytes(file.uri))) for file in list_files(s3))
    harm.assert_none(harm.compare(found, pa.concat_tables(written)))
    measured()
    assert pending(plan, s3) == []
    assert len(objects(s3)) == 2
    assert proxy.count("PUT", fault="LostReply") == 1
    assert proxy.count("DELETE") == 0


@pytest.mark.fault(14)
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fault", [Status(409), Status(500), Refuse()], ids=["409", "500", "refused"])
def test_a_creation_that_failed_without_effect_is_retried(proxy, s3, uri, fault, times, measured):
    proxy.set_rules(Rule(fault, "PUT", times=times))
    begun = time.monotonic()
    assert create_if_absent(uri, b"mine", "1") is CreateOutcome.CREATED
    measured(runs=times, recovery_s=time.monotonic() - begun)
    assert (read_bytes(uri), objects(s3)) == (b"mine", ["unit.parquet"])
    assert proxy.count("PUT") == times + 1
    assert proxy.count("DELETE") == 0


@pytest.mark.fault(14)
@pytest.mark.parametrize("fault", [Status(409), pytest.param(Status(500), marks=pytest.mark.faults)], ids=["409", "500"])
def test_a_creation_that_always_fails_can_be_repeated_later(proxy, s3, uri, fault, hurried):
    proxy.set_rules(Rule(fault, "PUT"))
    with pytest.raises(StorageError, match=r"unit\.parquet: "):
        create_if_absent(uri, b"mine", "1")
    assert s3_client.REQUEST_TRIES * CREATE_TRIES >= proxy.count("PUT") > 1
    assert proxy.count() <= MOST_REQUESTS
    assert proxy.count("DELETE") == 0
    assert objects(s3) == []
    proxy.set_rules()
    assert create_if_absent(uri, b"mine", "1") is CreateOutcome.CREATED


@pytest.mark.fault(14)
@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_creation_is_not_retried(proxy, s3, uri, status):
    proxy.set_rules(Rule(Status(status), "PUT"))
    with pytest.raises(StorageError, match=r"unit\.parquet: "):
        create_if_absent(uri, b"mine", "1")
    assert proxy.count("PUT") == 1


@pytest.mark.fault(14)
@pytest.mark.faults
@pytest.mark.parametrize("is_done", [False, True], ids=["never_done", "done"])
def test_a_creation_without_an_answer_is_resolved_by_reading(proxy, s3, uri, is_done, hurried, measured):
    proxy.set_rules(Rule(Silence(is_done=is_done), "PUT", times=1))
    begun = time.monotonic()
    expected = CreateOutcome.ALREADY_MINE if is_done else CreateOutcome.CREATED
    assert create_if_absent(uri, b"mine", "1") is expected
    measured(recovery_s=time.monotonic() - begun)
    assert (read_bytes(uri), objects(s3)) == (b"mine", ["unit.parquet"])
    assert proxy.count("DELETE") == 0


@pytest.mark.fault(14)
def test_a_creation_with_unknown_outcome_deletes_nothing(proxy, s3, uri, hurried):
    proxy.set_rules(Rule(LostReply(), "PUT"), Rule(Status(500), "GET|HEAD"))
    with pytest.raises(StorageError, match=r"unit\.parquet: "):
        create_if_absent(uri, b"mine", "1")
    assert proxy.count() <= MOST_REQUESTS
    assert proxy.count("DELETE") == 0
    proxy.set_rules()
    assert create_if_absent(uri, b"mine", "1") is CreateOutcome.ALREADY_MINE


@pytest.mark.fault(13, 14)
@pytest.mark.faults
def test_racing_writers_have_one_winner_despite_faults(proxy, s3, hurried, measured):
    """The winner may get ALREADY_MINE; no other writer does, because each writes different bytes."""
    faults = (LostReply(), Status(409), Status(500))
    proxy.set_rules(*(Rule(fault, "PUT", probability=0.2, seed=seed) for seed, fault in enumerate(faults)))
    n_writers, n_names, n_failed = 4, 8, 0
    for name in range(n_names):
        start, uri = threading.Barrier(n_writers), join(s3, f"race-{name}")

        def write(writer, start=start, uri=uri):
            start.wait()
            with contextlib.suppress(StorageError):
                return create_if_absent(uri, bytes([writer]) * 1000, str(writer))

        with ThreadPoolExecutor(n_writers) as pool:
            outcomes = list(pool.map(write, range(n_writers)))
        won = [i for i, outcome in enumerate(outcomes) if outcome in {CreateOutcome.CREATED, CreateOutcome.ALREADY_MINE}]
        n_failed += outcomes.count(None)
        winner = read_bytes(uri)[0]
        assert won == [winner] or (won == [] and outcomes[winner] is None)
    note = f"{n_names} races of 4, {n_failed} left unknown"
    measured(row=13, runs=proxy.count(fault="LostReply"), note=note)
    measured(row=14, runs=proxy.count(fault="Status"), note=note)
    assert proxy.count(fault=".+") >= n_names
    assert proxy.count("DELETE") == 0


@pytest.mark.fault(16)
@pytest.mark.faults
def test_all_requests_succeed_on_a_throttling_store(proxy, s3, measured):
    # A request that is refused five times in a row fails: with a tenth refused, in one of 400 runs; with a fifth, in one of 13.
    proxy.set_rules(Rule(Status(503), probability=0.1, seed=1))
    names, n_threads = [join(s3, str(i)) for i in range(48)], 8

    def there_and_back(uri):
        assert create_if_absent(uri, uri.encode() * 100, "1") in {CreateOutcome.CREATED, CreateOutcome.ALREADY_MINE}
        assert read_bytes(uri) == uri.encode() * 100
        return read_range(uri, 7, 50, info(uri).etag) == (uri.encode() * 100)[7:57]

    with ThreadPoolExecutor(n_threads) as pool:
        assert all(pool.map(there_and_back, names))
    n_done, n_asked = proxy.count(fault=""), proxy.count()
    factor = n_asked / n_done
    note = f"{n_asked} requests for {n_done} that were served: {factor:.2f} times"
    measured(runs=n_asked - n_done, note=note)
    assert n_asked > n_done
    assert factor < 1.6
    assert len(objects(s3)) == len(names)


@pytest.mark.fault(16)
@pytest.mark.faults
def test_a_burst_of_throttling_causes_few_requests(proxy, s3, measured):
    burst_s, n_threads = 6.0, 6
    names = [join(s3, str(i)) for i in range(n_threads)]
    proxy.set_rules(Rule(Status(503), seconds=burst_s))
    begun = time.monotonic()

    def insist(uri):
        """Retry after a pause, as a run does, which waits after a failure."""
        while True:
            try:
                create_if_absent(uri, b"x", "1")
            except StorageError:
                time.sleep(1)
            else:
                return read_bytes(uri)

    with ThreadPoolExecutor(n_threads) as pool:
        assert list(pool.map(insist, names)) == [b"x"] * n_threads
    taken_s, refused = time.monotonic() - begun, proxy.count(fault="Status")
    measured(runs=refused, recovery_s=taken_s, note=f"{refused} requests refused in a burst of {burst_s:.0f} s")
    assert n_threads <= refused <= n_threads * 3 * s3_client.REQUEST_TRIES
    assert len(objects(s3)) == n_threads


@pytest.mark.fault(17)
@pytest.mark.faults
@pytest.mark.parametrize("fault", [Refuse(), Status(503), Silence()], ids=["hangs_up", "503", "silent"])
def test_an_unreachable_store_fails_within_its_deadline(proxy, s3, uri, fault, hurried, measured):
    create_if_absent(uri, b"mine", "1")
    listed = info(uri)
    proxy.set_rules(Rule(fault))
    calls = {
        "read": lambda: read_bytes(uri),
        "range": lambda: read_range(uri, 0, 2, listed.etag),
        "info": lambda: info(uri),
        "list": lambda: list_files(s3),
        "create": lambda: create_if_absent(uri, b"other", "2"),
    }
    for name, call in calls.items():
        begun = time.monotonic()
        with pytest.raises(StorageError, match=r"^s3://lensscan-tests/") as caught:
            call()
        assert time.monotonic() - begun < (2 * s3_client.DEADLINE_S + 10) * busyness(), name
        assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    measured(runs=len(calls), note=f"an error within twice the deadline, {s3_client.DEADLINE_S:.0f} s here")
    assert proxy.count("DELETE") == 0
    proxy.set_rules()
    assert read_bytes(uri) == b"mine"


@pytest.mark.fault(17)
@pytest.mark.faults
def test_a_missing_store_fails_in_one_line(monkeypatch, s3, hurried):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:canary-password@127.0.0.1:9")
    for call in (read_bytes, probe, list_files):
        with pytest.raises(StorageError) as caught:
            call(s3)
        assert str(caught.value).startswith("s3://lensscan-tests/")
        assert "canary" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.fault(17)
def test_an_invalid_endpoint_fails_in_one_line(monkeypatch, s3):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no url:9000")
    with pytest.raises(StorageError, match="Invalid endpoint"):
        read_bytes(join(s3, "x"))


@pytest.mark.fault(15)
def test_the_probe_detects_a_gateway_that_drops_conditions(proxy, s3, monkeypatch):
    """A gateway that drops the header makes a good store unusable."""
    from tests.faults.harness import s3_proxy as module

    ask = module._Proxied.ask_upstream

    def without_condition(proxied):
        del proxied.headers["If-None-Match"]
        return ask(proxied)

    monkeypatch.setattr(module._Proxied, "ask_upstream", without_condition)
    with pytest.raises(StorageError, match=f"{s3}: the store ignores conditional creation"):
        probe(s3)
    monkeypatch.undo()
    assert np.all([name.startswith(".probe") for name in objects(s3)])
