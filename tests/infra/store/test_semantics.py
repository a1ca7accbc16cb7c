"""A store is asked for real for what a catalogue needs: on disks, on S3, and on servers that misbehave."""

import time

import pytest

from infra.store.files import StorageError
from infra.store.semantics import check_tiles, check_writes, clock_skew_s, existing_place
from infra.store.storage import create_if_absent, join, list_files
from tests.faults.harness.s3_proxy import Rule, Short, Zeros, s3_proxy
from tests.infra.stores import BadStore, serving


@pytest.fixture
def proxy(s3_server, s3_variables, monkeypatch):
    with s3_proxy(s3_variables["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


class Ahead(BadStore):
    """A store whose clock is two hours ahead."""

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + 7200)


class Forbidding(Ahead):
    """A store that refuses every request, and tells the time."""

    def do_HEAD(self):  # noqa: N802 - the library's name
        self.answer(403)


def test_a_disk_passes_and_keeps_nothing(tmp_path):
    check_writes(str(tmp_path))
    assert abs(clock_skew_s(str(tmp_path))) < 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_an_object_store_passes_and_keeps_nothing(s3):
    check_writes(s3)
    assert abs(clock_skew_s(s3)) < 5
    assert list_files(s3) == []


@pytest.mark.server
@pytest.mark.parametrize("fault", [Short(), Zeros()])
def test_wrong_ranges_are_noticed(s3, proxy, fault):
    """The range has 2000 bytes; the whole object is read by another request."""
    rule = Rule(fault, method="GET", key=r"\.probe")
    proxy.set_rules(Rule(fault, method="GET", key=r"\.probe", probability=0))
    check_writes(s3)
    assert [request.range for request in proxy.log if request.method == "GET" and request.range] == ["bytes=1000-2999"]
    proxy.set_rules(rule)
    with pytest.raises(StorageError):
        check_writes(s3)


@pytest.mark.server
def test_the_clock_of_a_store_is_compared(monkeypatch):
    for store in (Ahead, Forbidding):
        with serving(store, monkeypatch):
            assert clock_skew_s("s3://bucket/root") == pytest.approx(7200, abs=5)


def test_a_store_that_is_away_tells_no_time(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError):
        clock_skew_s("s3://bucket/root")


@pytest.mark.server
def test_a_part_of_a_tile_is_read(s3, tmp_path):
    for root in (s3, str(tmp_path)):
        with pytest.raises(FileNotFoundError):
            check_tiles(root)
        create_if_absent(join(root, "tile.fits"), b"SIMPLE", "try")
        assert check_tiles(root).size == 6


def test_a_new_catalogue_is_tried_in_the_folder_above(tmp_path):
    assert existing_place(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert existing_place(str(tmp_path)) == str(tmp_path)
    assert existing_place("s3://bucket/new") == "s3://bucket/new"
