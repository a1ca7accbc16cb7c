"""Findings about this machine, with real disks, packages and settings that are not as they should be."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest
import torch

from flows.commands.doctor_machine import LEAST_FREE_BYTES, disk, engine, ensembles, gpu, memory, versions
from flows.commands.findings import State
from infra.settings import Settings
from scanner.networks.locate import SHIPPED_DIR


def found(check, catalogue=None, **settings):
    return {finding.what: finding for finding in check(Settings(**settings), catalogue)}


def test_the_packages_that_the_tests_run_with_are_well():
    findings = found(versions)
    assert set(findings) == {"lensscan", "Python", "torch", "openvino", "pyarrow", "ray", "prefect"}
    assert {finding.state for finding in findings.values()} == {State.OK}
    assert findings["torch"].found == torch.__version__


@pytest.mark.parametrize(("version", "state"), [("17.0.0", State.FAILED), ("99.0.0", State.WARNING)])
def test_a_version_outside_the_tested_range_is_named(tmp_path, monkeypatch, version, state):
    about = tmp_path / f"pyarrow-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pyarrow\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    finding = found(versions)["pyarrow"]
    assert finding.state is state
    assert version in finding.found
    assert "pip install 'pyarrow" in finding.mend


def test_an_engine_that_cannot_run_is_named():
    assert found(engine)["engine"].state is State.OK
    if not torch.cuda.is_available():
        finding = found(engine, engine="cuda")["engine"]
        assert finding.state is State.FAILED
        assert "NVIDIA" in finding.found
        assert "LENSSCAN_ENGINE" in finding.mend
        assert found(gpu)["GPU"].state is not State.FAILED


def test_damaged_weights_are_found(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(SHIPPED_DIR / "mer3-cascade", folder)
    weights = next(folder.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    chosen = found(ensembles, ensemble=str(folder))["ensemble"]
    assert (chosen.state, weights.name in chosen.found, "sha256" in chosen.found) == (State.FAILED, True, True)
    other = list(ensembles(Settings(ensembles_dir=tmp_path), None))
    assert sorted(finding.state for finding in other) == [State.OK, State.WARNING]
    assert found(ensembles, ensemble="nosuch")["ensemble"].state is State.FAILED


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_of_temporary_files_stops_a_scan(small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    finding = found(disk)["disk of temporary files"]
    assert (finding.state, "TMPDIR" in finding.mend) == (State.FAILED, True)


def test_a_full_disk_of_the_catalogue_stops_a_scan(small_disk):
    finding = found(disk, str(small_disk / "new" / "catalogue"))["disk of catalogue"]
    assert finding.state is State.FAILED
    assert str(small_disk) in finding.found


def test_a_disk_without_room_for_files_stops_a_scan(tmp_path, monkeypatch):
    few = os.statvfs_result((4096, 4096, 10**9, 10**9, 10**9, 10**6, 20, 20, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: few)
    finding = found(disk)["disk of temporary files"]
    assert (finding.state, "20 files" in finding.found) == (State.FAILED, True)


def test_a_disk_with_room_is_well(tmp_path):
    if shutil.disk_usage(tmp_path).free > 2 * LEAST_FREE_BYTES:
        assert {finding.state for finding in found(disk, str(tmp_path)).values()} == {State.OK}


def test_too_many_workers_for_the_memory_are_named():
    finding = found(memory, workers=100_000)["memory"]
    assert (finding.state, "LENSSCAN_WORKERS=" in finding.mend) == (State.WARNING, True)
    fitting = int(finding.mend.rpartition("=")[2])
    assert found(memory, workers=max(1, fitting - 1))["memory"].state is State.OK
