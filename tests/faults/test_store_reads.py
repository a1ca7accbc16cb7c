"""Reads of cut, short, zero-filled, replaced or endless bodies return the right bytes or an error, in bounded time."""

import time

import numpy as np
import pytest

from infra.store import s3 as objects
from infra.store import s3_client
from infra.store.storage import (
    StorageError,
    create_if_absent,
    info,
    join,
    open_read,
    read_blocks,
    read_bytes,
)
from scanner.catalogue.find_units import find_units
from scanner.catalogue.unit_inputs import InputChangedError
from scanner.scan.errors import ScanError
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE
from tests.faults.harness import harm
from tests.faults.harness.patience import busyness
from tests.faults.harness.s3_proxy import Cut, Drip, First, Rule, Short, Status, Zeros
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned
from tests.servers import plain_s3
from tests.tiles import write_tile

pytestmark = pytest.mark.server
BLOCK = 2**16
NIGHT = "2026-11-24"


@pytest.fixture
def in_ranges(monkeypatch):
    """Make blocks so small that everything is read in ranges, for which a store sends no checksum."""
    monkeypatch.setattr(objects, "STREAM_BYTES", BLOCK)
    monkeypatch.setattr(objects, "WHOLE_BYTES", BLOCK)


@pytest.fixture
def data(rng):
    return rng.bytes(5 * BLOCK + 17)


@pytest.fixture
def uri(proxy, s3, data):
    place = join(s3, "data")
    create_if_absent(place, data, "1")
    return place


def by_seeking(uri):
    with open_read(uri) as file:
        file.seek(BLOCK)
        rest = file.read()
        file.seek(0)
        return file.read(BLOCK) + rest


READS = {
    "whole": read_bytes,
    "blocks": lambda uri: b"".join(read_blocks(info(uri))),
    "range": lambda uri: objects.read_range(uri, 0, info(uri).size, info(uri).etag),
    "file": by_seeking,
}
CUT = pytest.param(Cut(), id="cut", marks=pytest.mark.fault(18))
SHORT = pytest.param(Short(), id="short", marks=pytest.mark.fault(19))
ZEROS = pytest.param(Zeros(), id="zeros", marks=pytest.mark.fault(19))
cut_or_short = pytest.mark.parametrize("fault", [CUT, SHORT])
each_read = pytest.mark.parametrize("read", READS.values(), ids=READS.keys())


@each_read
@cut_or_short
def test_cut_or_short_bodies_are_read_again(proxy, uri, data, read, fault, in_ranges, measured):
    n_faults = objects.BODY_TRIES - 1
    proxy.set_rules(Rule(fault, "GET", times=n_faults))
    begun = time.monotonic()
    assert read(uri) == data
    measured(runs=n_faults, recovery_s=time.monotonic() - begun)
    assert proxy.count(fault=".+") == n_faults


@pytest.mark.fault(18)
@each_read
def test_one_body_in_ten_cut_changes_nothing(proxy, uri, data, read, in_ranges, measured):
    proxy.set_rules(Rule(Cut(), "GET", probability=0.1, seed=2))
    assert all(read(uri) == data for _ in range(8))
    n_cut, n_asked = proxy.count(fault="Cut"), proxy.count("GET")
    measured(runs=n_cut, note=f"{n_cut} of {n_asked} requests for bodies cut")
    assert n_cut


@each_read
@cut_or_short
def test_bodies_that_are_always_damaged_raise_an_error(proxy, uri, read, fault, in_ranges):
    proxy.set_rules(Rule(fault, "GET"))
    with pytest.raises(StorageError, match="data: asked for "):
        read(uri)
    assert proxy.count("GET") <= objects.BODY_TRIES * (1 + objects.STREAM_AHEAD)


@pytest.mark.fault(19)
@pytest.mark.parametrize("read", [READS["whole"], READS["blocks"]], ids=["whole", "blocks"])
def test_zeros_in_a_whole_object_fail_the_checksum(proxy, uri, data, read):
    proxy.set_rules(Rule(Zeros(), "GET", times=1))
    assert read(uri) == data
    proxy.set_rules(Rule(Zeros(), "GET"))
    with pytest.raises(StorageError, match=r"data: asked for .* checksum"):
        read(uri)
    assert proxy.count("GET") == objects.BODY_TRIES


def replace(uri, data):
    """Write another version; the proxy has no rule for it."""
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    plain_s3().put_object(Bucket=bucket, Key=key, Body=data)


@pytest.mark.fault(20)
@each_read
@pytest.mark.parametrize("when", ["before_the_first", "before_the_third", "after_a_cut"])
def test_versions_of_an_object_are_never_mixed(proxy, s3, uri, data, read, when, in_ranges):
    other = bytes(len(data))
    replaced = Rule(First(lambda: replace(uri, other)), "GET", times=1)
    rules = {
        "before_the_first": (replaced,),
        "before_the_third": (Rule(First(lambda: None), "GET", times=2), replaced),
        "after_a_cut": (Rule(Cut(), "GET", times=1), replaced),
    }
    proxy.set_rules(*rules[when])
    if when == "before_the_third" and read in {READS["range"], READS["file"]}:
        # These reads end before the third request.
        assert read(uri) == data
        return
    with pytest.raises(StorageError, match="changed while it was read"):
        read(uri)


@pytest.mark.fault(20)
def test_versions_are_compared_even_without_if_match(proxy, uri, data, in_ranges, monkeypatch):
    from tests.faults.harness import s3_proxy as module

    ask = module._Proxied.ask_upstream

    def without_condition(proxied):
        del proxied.headers["If-Match"]
        return ask(proxied)

    monkeypatch.setattr(module._Proxied, "ask_upstream", without_condition)
    file = info(uri)
    assert b"".join(read_blocks(file)) == data
    replace(uri, bytes(len(data)))
    with pytest.raises(StorageError, match="changed while it was read"):
        objects.read_range(uri, 5, 10, file.etag)


@pytest.mark.fault(21)
@each_read
def test_a_very_slow_read_ends_at_its_deadline(proxy, uri, read, in_ranges, monkeypatch, measured):
    monkeypatch.setattr(s3_client, "DEADLINE_S", 0.3)
    monkeypatch.setattr(s3_client, "LEAST_BYTES_PER_S", 2**24)
    proxy.set_rules(Rule(Drip(every_s=0.05), "GET"))
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"data: no whole answer within 0\.3\d* s"):
        read(uri)
    taken_s = time.monotonic() - begun
    measured(note=f"given up at a deadline that is {s3_client.DEADLINE_S} s here")
    assert taken_s < 10 * busyness()
    assert proxy.count("GET") <= 1 + objects.STREAM_AHEAD


# Scores of units whose bytes are damaged.


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tile")
    write_tile(folder, 1, 6)
    return folder


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    rng = np.random.default_rng(1)
    folder, n = tmp_path_factory.mktemp("shard"), 6
    shapes = {band: (n, grid.n_pixels, grid.n_pixels) for band, grid in CHALLENGE.grids.items()}
    stamps = {band: rng.exponential(size=shape).astype(np.float32) for band, shape in shapes.items()}
    (folder / "0.parquet").write_bytes(encode_shard(shard_table(np.arange(n), stamps, {}, CHALLENGE)))
    return folder


def scores(unit):
    return scanned(unit, CutoutScanner(MeanEnsemble(), 4), NIGHT)


@pytest.fixture(params=["tile", "shard"])
def stored(request, proxy, s3):
    """Return a unit in the store, and its scores without faults."""
    folder = request.getfixturevalue(request.param)
    for path in folder.iterdir():
        create_if_absent(join(s3, path.name), path.read_bytes(), "1")
    (local,), (unit,) = find_units(str(folder)), find_units(s3)
    expected = scores(local)
    assert set(expected["status"].to_pylist()) == {"scored"}
    return unit, expected


PIXELS = r"MOSAIC|\.parquet"


@pytest.mark.parametrize("fault", [CUT, SHORT, ZEROS])
def test_bytes_damaged_once_in_transit_change_no_score(proxy, stored, fault, in_ranges, measured):
    unit, expected = stored
    proxy.set_rules(Rule(fault, "GET", PIXELS, times=1))
    begun = time.monotonic()
    try:
        found = scores(unit)
    except (InputChangedError, ScanError, StorageError):
        # A shard is checked before the Parquet reader gets it; the unit is scanned again.
        assert unit.kind == "shard"
        found = scores(unit)
    recovery_s = time.monotonic() - begun
    harm.assert_none(harm.compare(found, expected))
    assert found.equals(expected)
    measured(recovery_s=recovery_s)
    assert proxy.count(fault=".+") == 1


@pytest.mark.parametrize("fault", [SHORT, ZEROS])
def test_bytes_always_damaged_in_transit_are_never_scored(proxy, stored, fault, in_ranges):
    unit, expected = stored
    proxy.set_rules(Rule(fault, "GET", PIXELS))
    try:
        found = scores(unit)
    except (InputChangedError, ScanError, StorageError):
        assert unit.kind == "shard"
    else:
        statuses = set(found["status"].to_pylist())
        assert statuses == {"rejected:io_error"}
        assert found["object_id"].equals(expected["object_id"])
        n_scored = found.num_rows - found["p_lens"].null_count
        harm.assert_none(harm.Harm(wrong=n_scored, checked=found.num_rows))
    assert proxy.count(fault=".+") >= 2


@pytest.mark.fault(19)
@pytest.mark.parametrize("place", [3, *(pytest.param(place, marks=pytest.mark.faults) for place in (1, 2, 4))])
def test_zeros_anywhere_in_a_mosaic_or_shard_are_detected(proxy, stored, place, in_ranges):
    """Zeros are injected into one range, every time it is read; `place` chooses the range."""
    unit, _ = stored
    n_ranges = max(file.size for role, file in unit.files.items() if role != "catalogue") // BLOCK
    start = BLOCK * (place * n_ranges // 5)
    key = r"MOSAIC-VIS" if unit.kind == "tile" else PIXELS

    class ZerosThere(Zeros):
        def apply(self, proxied):
            if proxied.headers.get("Range", "").startswith(f"bytes={start}-"):
                super().apply(proxied)
            else:
                proxied.send(proxied.ask_upstream())

    proxy.set_rules(Rule(ZerosThere(), "GET", key))
    try:
        statuses = set(scores(unit)["status"].to_pylist())
    except StorageError:
        assert unit.kind == "shard"
    else:
        assert (unit.kind, statuses) == ("tile", {"rejected:io_error"})


@pytest.mark.fault(20)
def test_a_unit_replaced_while_read_is_not_scored(proxy, stored, in_ranges):
    unit, _ = stored
    uri = unit.files["VIS" if unit.kind == "tile" else "shard"].uri
    whole = read_bytes(uri)
    proxy.set_rules(
        Rule(First(lambda: None), "GET", uri[-30:], times=2),
        Rule(First(lambda: replace(uri, whole[::-1])), "GET", uri[-30:], times=1),
    )
    either = r"changed (since the plan was made|while it was read)"
    with pytest.raises((InputChangedError, ScanError, StorageError), match=either):
        scores(unit)


@pytest.mark.fault(20)
def test_a_mosaic_replaced_by_a_valid_one_is_not_scored(proxy, s3, tile, tmp_path, in_ranges):
    for path in tile.iterdir():
        create_if_absent(join(s3, path.name), path.read_bytes(), "1")
    (unit,) = find_units(s3)
    write_tile(tmp_path, 1, 6, seed=1)
    (other,) = tmp_path.glob("*VIS*")
    uri = unit.files["VIS"].uri
    proxy.set_rules(
        Rule(First(lambda: None), "GET", uri[-30:], times=2),
        Rule(First(lambda: replace(uri, other.read_bytes())), "GET", uri[-30:], times=1),
    )
    with pytest.raises(InputChangedError, match=r"VIS .* changed since the plan was made"):
        scores(unit)


@pytest.mark.fault(16)
@pytest.mark.faults
def test_throttling_by_the_store_changes_no_score(proxy, stored, in_ranges, measured):
    unit, expected = stored
    proxy.set_rules(Rule(Status(503), probability=0.2, seed=3))
    found = scores(unit)
    n_refused, n_asked = proxy.count(fault="Status"), proxy.count()
    measured(runs=n_refused, note=f"{n_refused} of {n_asked} requests of a scanned unit refused")
    harm.assert_none(harm.compare(found, expected))
    assert found.equals(expected)
    assert 0 < n_refused < 0.4 * n_asked
