"""Objects of an S3 store: ranges, listings, and creations with lost replies."""

import os
from threading import Event
from types import SimpleNamespace

import pytest

from infra.store import s3 as objects
from infra.store import s3_client, s3_file
from infra.store.files import FileInfo
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
)
from tests.infra.stores import BadStore, ListingStore, LosingStore, serving

pytestmark = pytest.mark.server
ROOT = "s3://bucket/in"


def test_a_range_is_whole_or_raises_an_error(s3):
    uri = join(s3, "data")
    create_if_absent(uri, bytes(range(100)), "1")
    assert read_range(uri, 10, 5) == bytes(range(10, 15))
    assert read_range(uri, 0, 100, info(uri).etag) == bytes(range(100))
    assert read_range(uri, 200, 0) == b""
    for start, length in [(98, 5), (200, 1)]:
        with pytest.raises(StorageError, match="data: "):
            read_range(uri, start, length)
    with pytest.raises(StorageError, match=r"data: changed while it was read \(its etag is no longer another-etag\)"):
        read_range(uri, 0, 5, "another-etag")
    for absent in (join(s3, "absent"), s3):
        with pytest.raises(FileNotFoundError):
            read_range(absent, 0, 1)


def test_only_the_bytes_of_an_answer_lengthen_its_deadline(monkeypatch):
    over = Event()
    silent = SimpleNamespace(head_object=lambda **_: over.wait(60), get_object=lambda **_: over.wait(60))
    monkeypatch.setattr(s3_client, "s3_client", lambda *_: silent)
    monkeypatch.setattr(s3_client, "DEADLINE_S", 0.1)
    monkeypatch.setattr(s3_client, "LEAST_BYTES_PER_S", 10)
    for read, seconds in ((info, "0.1"), (lambda uri: read_range(uri, 5, 2), "0.3")):
        with pytest.raises(StorageError, match=rf"^{ROOT}/x: no whole answer within {seconds} s$"):
            read(f"{ROOT}/x")
    over.set()


def test_a_listing_tells_when_each_object_changed(s3):
    uri = join(s3, "data")
    create_if_absent(uri, b"1", "1")
    (file,) = list_files(s3)
    assert file.modified is not None
    # A store may give fractions of a second in a listing alone.
    assert abs((file.modified - info(uri).modified).total_seconds()) < 1


def test_one_put_holds_as_many_bytes_as_s3_allows(s3, monkeypatch):
    assert objects.MAX_PUT_BYTES == 5 * 1024**3
    monkeypatch.setattr(objects, "MAX_PUT_BYTES", 10)
    assert create_if_absent(join(s3, "a"), b"0123456789", "1") is CreateOutcome.CREATED
    with pytest.raises(StorageError, match=r"b: one put holds at most 10 bytes, got 11$"):
        create_if_absent(join(s3, "b"), b"01234567890", "1")
    assert not exists(join(s3, "b"))


def test_a_large_object_is_read_in_few_requests(s3, monkeypatch):
    uri, data = join(s3, "data"), os.urandom(3_000_000)
    create_if_absent(uri, data, "1")
    asked = []
    read_range = s3_file.read_range
    monkeypatch.setattr(s3_file, "read_range", lambda *args: (asked.append(args), read_range(*args))[1])
    with open_read(uri) as file:
        file.seek(100)
        assert file.read() == data[100:]
        file.seek(0)
        assert file.read(10) == data[:10]
    assert len(asked) <= 3


def test_a_listing_covers_several_pages(s3, monkeypatch):
    for name in "abcde":
        create_if_absent(join(s3, name), b"1", "1")
    page = objects._page
    monkeypatch.setattr(objects, "_page", lambda uri, **options: page(uri, **options, MaxKeys=2))
    assert [file.uri for file in list_files(s3)] == [join(s3, name) for name in "abcde"]


@pytest.mark.fault(15)
def test_a_store_that_ignores_conditions_is_refused(monkeypatch):
    with serving(BadStore, monkeypatch) as server, pytest.raises(StorageError, match="ignores conditional creation"):
        probe("s3://bucket/catalogue")
    assert server.objects == {}


@pytest.mark.fault(13)
def test_a_lost_reply_is_resolved_by_reading_back(monkeypatch):
    with serving(LosingStore, monkeypatch) as server:
        assert create_if_absent("s3://bucket/unit", b"mine", "1") is CreateOutcome.ALREADY_MINE
        assert create_if_absent("s3://bucket/unit", b"other", "2") is CreateOutcome.EXISTS
    assert list(server.objects.values()) == [b"mine"]


@pytest.mark.fault(36)
def test_errors_hold_no_credentials(s3, monkeypatch):
    missing = "s3://no-such-bucket-here/key"
    with pytest.raises(StorageError, match="cannot be created") as caught:
        create_if_absent(missing, b"1", "1")
    texts = [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
    assert not any("canary" in text for text in texts)


@pytest.fixture
def store(monkeypatch):
    with serving(ListingStore, monkeypatch) as server:
        yield server


def test_all_pages_are_listed_sorted_without_folders_and_hidden_files(store):
    store.pages = {
        "": (["in/b", "in/folder/"], "1"),
        "1": ([], "2"),
        "2": (["in/folder/a", "in/.hidden"], None),
    }
    assert list_files(ROOT) == [FileInfo(f"{ROOT}/b", 7, "e-in/b"), FileInfo(f"{ROOT}/folder/a", 7, "e-in/folder/a")]


@pytest.mark.parametrize(
    "pages",
    [
        {"": (["in/a"], "")},
        {"": (["in/a"], "1"), "1": (["in/b"], "")},
        {"": (["in/a"], "1"), "1": (["in/b"], "1")},
    ],
    ids=["no token", "no second token", "the same token again"],
)
def test_a_listing_that_breaks_off_raises_an_error(store, pages):
    store.pages = pages
    with pytest.raises(StorageError, match=f"^{ROOT}: the store does not go on with its listing$"):
        list_files(ROOT)


def test_only_a_bucket_lost_during_a_listing_raises_an_error(store):
    store.pages = {"": (["in/a"], "1")}
    with pytest.raises(StorageError, match=f"^{ROOT}: went away while it was listed$"):
        list_files(ROOT)
    store.pages = {}
    assert list_files(ROOT) == []
    assert not exists(ROOT)
