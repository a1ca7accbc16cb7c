"""Errors that pass, and errors that do not, as stores and clusters really raise them."""

import errno
from multiprocessing.reduction import ForkingPickler

import pytest

from infra.errors import ClusterAccessError, ClusterError, LensscanError
from infra.infrastructure_errors import is_infrastructure
from infra.store.files import PlaceError, StorageError
from infra.store.storage import check_folder, create_if_absent, read_bytes
from tests.infra.stores import RefusingStore, serving
from tests.servers import free_port


def raised(act, *arguments):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any error is looked at
        act(*arguments)
    return caught.value


def received(error):
    """Return an error as another process gets it."""
    return ForkingPickler.loads(ForkingPickler.dumps(error))


@pytest.mark.parametrize(("status", "passes"), [(503, True), (500, True), (429, True), (403, False), (400, False)])
def test_the_answer_of_a_store_decides(monkeypatch, status, passes):
    # Further tries would only wait.
    monkeypatch.setattr("infra.store.s3_client.REQUEST_TRIES", 1)
    with serving(RefusingStore, monkeypatch) as store:
        store.status = status
        error = raised(read_bytes, "s3://bucket/key")
    assert isinstance(error, StorageError)
    assert is_infrastructure(error) is passes
    sent = received(error)
    assert (type(sent), str(sent)) == (StorageError, str(error))
    assert is_infrastructure(sent) is passes


def test_a_store_that_does_not_answer_passes(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("infra.store.s3_client.REQUEST_TRIES", 1)
    error = raised(read_bytes, "s3://bucket/key")
    assert is_infrastructure(error)
    assert str(error).endswith("; is this machine offline?")


def test_places_of_the_user_do_not_pass(tmp_path):
    (tmp_path / "file").write_text("")
    for act, arguments in (
        (check_folder, (str(tmp_path / "file"),)),
        (create_if_absent, (str(tmp_path / "file" / "below"), b"", "x")),
        (read_bytes, (str(tmp_path / "nosuch"),)),
        (read_bytes, ("s3://",)),
    ):
        assert not is_infrastructure(raised(act, *arguments)), act


def test_a_cause_is_looked_at():
    def wrapped(cause):
        error = LensscanError("complete, but")
        error.__cause__ = cause
        return error

    assert is_infrastructure(wrapped(ClusterError("gone")))
    assert is_infrastructure(wrapped(wrapped(StorageError("full"))))
    assert not is_infrastructure(wrapped(PlaceError("a file")))
    assert not is_infrastructure(wrapped(ValueError("a bug")))
    assert not is_infrastructure(wrapped(ConnectionError("of data that names a server")))
    assert is_infrastructure(received(wrapped(StorageError("full"))))
    assert not is_infrastructure(received(wrapped(ValueError("a bug"))))


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionResetError("reset"), True),
        (TimeoutError("late"), True),
        (OSError(errno.EIO, "disk"), True),
        (FileNotFoundError(errno.ENOENT, "none"), False),
        (PermissionError(errno.EACCES, "closed"), False),
        (ValueError("bad"), False),
        (KeyError("bug"), False),
        (MemoryError(), False),
        (ClusterError("lost"), True),
        (ClusterAccessError("open"), False),
        (LensscanError("a user's mistake"), False),
    ],
)
def test_plain_errors(error, passes):
    assert is_infrastructure(error) is passes
