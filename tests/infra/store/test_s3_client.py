"""One request to a store: its client, its deadline, and its errors."""

import contextlib
import errno
import pickle
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.utils import parse_timestamp

from infra.store import s3, s3_client
from infra.store.files import CreateOutcome, StorageError, StoreRefusedError
from infra.store.s3_client import DEADLINE_S, LEAST_BYTES_PER_S, ask, deadline_s, http_status, timestamp
from infra.store.storage import create_if_absent, info
from tests.infra.stores import RefusingStore, serving

URI = "s3://bucket/key"


def head(client):
    return client.head_object(Bucket="bucket", Key="key")


@pytest.fixture
def refusing(monkeypatch):
    with serving(RefusingStore, monkeypatch) as server:
        yield server


def test_an_answer_is_returned_and_errors_are_raised(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:6")
    assert ask(URI, lambda client: client.meta.region_name) == "eu-west-3"
    with pytest.raises(StorageError, match=f"^{URI}: .*/no/such/folder"):
        ask(URI, lambda _client: Path("/no/such/folder/file").read_bytes())
    with pytest.raises(ZeroDivisionError):
        ask(URI, lambda _client: 1 / 0)


def test_a_question_without_answer_ends_at_its_deadline(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    over = threading.Event()
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"^s3://bucket/key: no whole answer within 0\.2 s$") as caught:
        ask(URI, lambda _client: over.wait(60), 0.2)
    assert time.monotonic() - begun < 30
    assert http_status(caught.value) == 0
    over.set()


def test_a_request_given_up_does_not_keep_a_process_alive():
    code = (
        "import time\nfrom infra.store.s3_client import ask\n"
        "try:\n    ask('s3://b/k', lambda _client: time.sleep(600), 0.1)\n"
        "except OSError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "s3://b/k: no whole answer within 0.1 s\n"


def test_a_deadline_grows_with_the_bytes_and_ends_early():
    assert deadline_s(0) == DEADLINE_S == 60
    assert deadline_s(10 * LEAST_BYTES_PER_S) == DEADLINE_S + 10
    assert 4 < deadline_s(0, time.monotonic() + 5) <= 5
    assert deadline_s(0, time.monotonic() + 500) == DEADLINE_S
    assert 0 < deadline_s(0, time.monotonic() - 5) < 0.1


@pytest.mark.server
@pytest.mark.parametrize(("status", "n_asked"), [(403, 1), (412, 1), (503, 2)])
def test_a_refusal_gives_its_status_after_its_tries(refusing, monkeypatch, status, n_asked):
    monkeypatch.setattr(s3_client, "REQUEST_TRIES", 2)
    refusing.status = status
    with pytest.raises(StorageError, match=rf"^s3://bucket/key: An error occurred .*\(HTTP {status}\)$") as caught:
        ask(URI, head)
    assert (http_status(caught.value), refusing.n_asked) == (status, n_asked)
    with pytest.raises(StorageError):
        ask(URI, head, tries=1)
    assert refusing.n_asked == n_asked + 1


@pytest.mark.server
@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (400, "ExpiredToken", "renew the credentials"),
        (403, "InvalidAccessKeyId", "renew the credentials"),
        (507, "XMinioStorageFull", "make room"),
    ],
)
def test_a_refusal_that_does_not_pass_tells_what_to_do(refusing, status, code, remedy):
    """The answer to HEAD has no body, and so no code."""
    refusing.status, refusing.code = status, code
    for act in (lambda: info(URI), lambda: create_if_absent(URI, b"data", "1")):
        with pytest.raises(StoreRefusedError, match=rf"^{URI}: .*\(({code}|507)\)") as caught:
            act()
        assert pickle.loads(pickle.dumps(caught.value)).remedy == remedy  # noqa: S301 - as between processes


@pytest.mark.server
@pytest.mark.parametrize("status", [409, 412])
def test_another_writer_that_came_first_is_no_error(refusing, status):
    refusing.status = status
    assert not s3.replace_if(URI, b"data", None)
    assert not s3.replace_if(URI, b"data", "etag")


@pytest.mark.server
def test_a_missing_object_raises_file_not_found(refusing):
    refusing.status = 404
    with pytest.raises(FileNotFoundError) as caught:
        ask(URI, head)
    assert (caught.value.errno, caught.value.filename, refusing.n_asked) == (errno.ENOENT, URI, 1)


def test_all_threads_share_one_client_of_an_endpoint(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8")
    with ThreadPoolExecutor(4) as pool:
        clients = {id(client) for client in pool.map(lambda _: s3_client.s3_client("mine", 2), range(8))}
    assert clients == {id(s3_client.s3_client("mine", 2))}
    assert id(s3_client.s3_client("mine", 1)) not in clients
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert id(s3_client.s3_client("mine", 2)) not in clients


def test_a_profile_gives_region_endpoint_and_credentials(tmp_path, monkeypatch):
    config = "[profile mine]\nregion = eu-west-3\nendpoint_url = http://127.0.0.1:7\n"
    (tmp_path / "config").write_text(f"{config}aws_access_key_id = an-id\naws_secret_access_key = a-secret\n")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION", "ENDPOINT_URL", "ENDPOINT_URL_S3"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    # The client of a process without a profile is cached.
    s3_client._client.cache_clear()
    client = s3_client.s3_client("mine", 1)
    s3_client._client.cache_clear()
    assert (client.meta.region_name, client.meta.endpoint_url) == ("eu-west-3", "http://127.0.0.1:7")
    assert client._request_signer._credentials.access_key == "an-id"


@pytest.mark.parametrize(
    "text",
    ["2026-11-28T13:09:07.000Z", "2026-11-28T13:09:07.12Z", "2026-11-28T15:09:07+02:00", "Sat, 28 Nov 2026 13:09:07 GMT"],
)
def test_a_time_is_that_of_the_parser_of_botocore(text):
    assert timestamp(text) == parse_timestamp(text)


@pytest.mark.server
def test_sending_may_take_longer_than_connecting(monkeypatch):
    """Bytes sent in one piece would have to be sent within the time limit of a connection; botocore sends several."""
    monkeypatch.setattr(s3_client, "CONNECT_TIMEOUT_S", 0.4)
    monkeypatch.setattr(s3_client, "REQUEST_TRIES", 1)
    data, received = bytes(2**24), bytearray()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def receive(listening):
        connection, _ = listening.accept()
        with contextlib.closing(connection):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(2**16)
            received.extend(head.partition(b"\r\n\r\n")[2])
            if b"100-continue" in head:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while len(received) < len(data):
                received.extend(connection.recv(2**18))
                time.sleep(0.02)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=receive, args=(listening,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        begun = time.monotonic()
        assert create_if_absent(URI, data, "1") is CreateOutcome.CREATED
    assert time.monotonic() - begun > 2 * s3_client.CONNECT_TIMEOUT_S
    assert len(received) == len(data)
