"""Ranged replies with wrong bytes of the right length."""

import os
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from infra.store.s3 import read_range
from infra.store.storage import StorageError, create_if_absent, info, join, read_blocks
from scanner.catalogue.find_units import find_units
from scanner.scan.scoring import CutoutScanner
from tests.faults.harness.s3_proxy import Fault, Rule, Zeros, s3_proxy
from tests.scanner.mean_ensemble import MeanEnsemble
from tests.scanner.scanned import scanned
from tests.tiles import write_tile

pytestmark = [pytest.mark.server, pytest.mark.fault(19)]


class Shifted(Fault):
    """The client gets other bytes than it requested, of the same number."""

    def apply(self, proxied):
        proxied.headers.replace_header("Range", "bytes=5-14")
        proxied.send(proxied.ask_upstream())


class NoChecksum(Fault):
    """The answer has no checksum, as from a store that keeps none."""

    def apply(self, proxied):
        answer = proxied.ask_upstream()
        headers = [(name, value) for name, value in answer.headers if not name.lower().startswith("x-amz-checksum")]
        proxied.send(replace(answer, headers=headers))


@pytest.fixture
def proxy(s3, monkeypatch):
    with s3_proxy(os.environ["AWS_ENDPOINT_URL"]) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.url)
        yield started


def test_a_zero_filled_range_fails_before_the_last_block(proxy, s3, monkeypatch):
    monkeypatch.setattr("infra.store.s3.STREAM_BYTES", 2**16)
    data, uri = os.urandom(5 * 2**16 + 3), join(s3, "x")
    create_if_absent(uri, data, "1")
    file, got = info(uri), []
    proxy.set_rules(Rule(Zeros(), "GET", times=1))
    with pytest.raises(StorageError, match="x: the bytes read do not have the CRC32 that the store keeps of the object"):
        got.extend(read_blocks(file))
    proxy.set_rules()
    assert b"".join(read_blocks(file)) == data


def test_a_shifted_range_is_read_again(proxy, s3):
    data, uri = os.urandom(1000), join(s3, "x")
    create_if_absent(uri, data, "1")
    proxy.set_rules(Rule(Shifted(), "GET", times=1))
    assert read_range(uri, 0, 10) == data[:10]
    assert proxy.count("GET") == 2


@pytest.mark.faults
def test_zeros_in_mosaics_without_datasum_are_never_scored(proxy, s3, tmp_path, monkeypatch, measured):
    write_tile(tmp_path, 1, 8)
    for path in tmp_path.iterdir():
        if "MOSAIC" in path.name:
            pixels, header = fits.getdata(path, header=True)
            fits.writeto(path, pixels, fits.Header([c for c in header.cards if "SUM" not in c.keyword]), overwrite=True)
        create_if_absent(join(s3, path.name), path.read_bytes(), "1")
    monkeypatch.setattr("infra.store.s3.STREAM_BYTES", 2**17)
    (unit,) = find_units(s3)

    def scan():
        return scanned(unit, CutoutScanner(MeanEnsemble()), "2026-11-24")

    golden, n_runs, n_refused = scan(), 12, 0
    for seed in range(n_runs):
        proxy.set_rules(Rule(Zeros(), "GET", r"MOSAIC", probability=0.2, seed=seed))
        table = scan()
        scored = np.array(table["status"].to_pylist()) == "scored"
        if scored.all():
            assert table.equals(golden)
        else:
            n_refused += 1
            assert set(table["status"].to_pylist()) == {"rejected:io_error"}
    measured(runs=n_runs, note=f"{n_refused} of {n_runs} scans without DATASUM left for another try, none scored wrongly")
    assert n_refused


def test_datasum_reveals_zeros_without_a_store_checksum(proxy, s3, tmp_path, monkeypatch):
    write_tile(tmp_path, 1, 8)
    for path in tmp_path.iterdir():
        create_if_absent(join(s3, path.name), path.read_bytes(), "1")
    monkeypatch.setattr("infra.store.s3.STREAM_BYTES", 2**17)
    (unit,) = find_units(s3)
    proxy.set_rules(Rule(NoChecksum(), "HEAD"), Rule(Zeros(), "GET", "MOSAIC-NIR-H"))
    table = scanned(unit, CutoutScanner(MeanEnsemble()), "2026-11-24")
    assert set(table["status"].to_pylist()) == {"rejected:fits_unreadable"}
    assert "DATASUM" in table["detail"][0].as_py()
