"""A small night, drivers that scan it in separate processes, and checks of the catalogue that they must produce."""

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.provenance import sha256_bytes
from infra.store.storage import list_files, read_bytes
from scanner.catalogue.gate import begin
from scanner.catalogue.ledger import committed, pending, publish
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import entry_uri, night_uri, plan_uri, seal_uri, unit_uri
from scanner.catalogue.plan import Plan, ScanConfig, build_plan, freeze, load_plan
from scanner.catalogue.seal import SealReport, load_seal, seal
from scanner.catalogue.unitfile import read_unit
from scanner.networks.ensemble import EnsembleScores
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from tests.faults.harness import crash_points, harm, patience
from tests.fork_server import forks
from tests.scanner.scanned import scanned

NIGHT = "2026-11-24"
CONFIG = ScanConfig(candidate_threshold=0.5, batch_size=2)


class PixelEnsemble:
    """Network `A` returns the mean of VIS scaled to 0-1, network `B` that of H: simple functions of the pixels."""

    name, sha256 = "pixels", "5" * 64
    geometry, network_names = MER_10, ("A", "B")

    def score(self, stamps):
        p = {name: mean_brightness(stamps[band]) for name, band in (("A", "VIS"), ("B", "H"))}
        return EnsembleScores(p, np.abs(p["A"] - p["B"]) / 2, (p["A"] + p["B"]) / 2, None, None)


def mean_brightness(images):
    """Return the mean of each image on a scale from its minimum (0) to its maximum (1): `[n]` from `[n, y, x]`."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    low, high = flat.min(axis=1), flat.max(axis=1)
    return ((flat.mean(axis=1) - low) / (high - low)).astype(np.float32)


def write_inputs(folder, n_units, n_rows=4):
    """Write shards in which all objects differ in brightness; return the ids, each once.

    The last object of a shard is also in the next one, and every second shard has an object without light.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(n_units)
    for i in range(n_units):
        steepness = rng.uniform(0.3, 3.0, (n_rows, 1, 1))
        shape = (n_rows, MER_10.grids["VIS"].n_pixels, MER_10.grids["VIS"].n_pixels)
        stamps = {band: (rng.random(shape) ** steepness).astype(np.float32) for band in MER_10.grids}
        if i % 2:
            stamps["VIS"][1] = 0
        ids = np.arange(n_rows) + i * (n_rows - 1)
        (folder / f"unit-{i:03d}.parquet").write_bytes(encode_shard(shard_table(ids, stamps, {}, MER_10)))
    return list(range(n_units * (n_rows - 1) + 1))


def run_night(inputs, root_uri, log=None, *, crash=None, order=None, named_staging=False):
    """Do what a driver does, in one process and without Ray: plan, freeze, begin, scan and publish the pending units, seal.

    Args:
        inputs: Folder of the shards.
        root_uri: Root of the catalogue.
        log: File to which each scored unit and each receipt adds a line.
        crash: Arguments of `crash_points.install`.
        order: Seed of the order of the units; by default the plan's order.
        named_staging: Stage files as on a file system that refuses O_TMPFILE.
    """
    if named_staging:
        _refuse_unnamed_files()
    if crash:
        crash_points.install(**crash)
    plan = build_plan(str(inputs), NIGHT, PixelEnsemble(), CONFIG)
    freeze(plan, root_uri)
    begin(plan, root_uri, plan.config.candidate_threshold, gate=False)
    todo = pending(plan, root_uri)
    if order is not None:
        np.random.default_rng(order).shuffle(todo)
    for unit in todo:
        note(log, scan_and_publish(unit, plan, root_uri, log))
    seal(plan, root_uri)
    show(plan, root_uri)


def _refuse_unnamed_files():
    """Answer O_TMPFILE as NFS does, for the rest of this process."""
    open_any = os.open

    def open_named(path, flags, *args, **kwargs):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), path)
        return open_any(path, flags, *args, **kwargs)

    os.open = open_named


def scan_and_publish(unit, plan, root_uri, log=None):
    """Do the steps of a scan actor for one unit."""
    done = committed(unit, plan, root_uri)
    if done is not None:
        return done
    scanner = CutoutScanner(PixelEnsemble(), plan.config.batch_size)
    table = scanned(unit, scanner, plan.night)
    note(log, "scored")
    return publish(table, unit, plan, root_uri, uuid4().hex)


def note(log, what):
    """Add a line to the log: `scored`, or the outcome of a receipt."""
    if log is not None:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{getattr(what, 'outcome', what)}\n")


def noted(log):
    """Return the lines of a log so far."""
    return Path(log).read_text(encoding="utf-8").split() if Path(log).exists() else []


@dataclass(frozen=True)
class Catalogue:
    """The content of a sealed night of one plan."""

    plan: Plan
    rows: dict[str, pa.Table]
    sha256s: dict[str, str]
    candidates: bytes
    seal: SealReport
    files: dict[str, bytes]
    """Bytes of all files below the root, by relative path."""


def read_catalogue(root_uri):
    """Return the sealed night below a root, and check that the root holds no other files."""
    (plan_file,) = list_files(f"{root_uri}/_scan/plans")
    plan = load_plan(root_uri, plan_file.uri.rpartition("/")[2].removesuffix(".json"))
    sealed = load_seal(root_uri, plan.plan_id)
    assert sealed is not None
    assert pending(plan, root_uri) == []
    names = [plan_uri(root_uri, plan.plan_id), seal_uri(root_uri, plan.plan_id), sealed.candidates_uri]
    names += [entry_uri(root_uri, NIGHT, 1), entry_uri(root_uri, NIGHT, 2), night_uri(root_uri, NIGHT)]
    names += [unit_uri(root_uri, plan.plan_id, unit.unit_id) for unit in plan.units]
    assert [file.uri for file in list_files(root_uri)] == sorted(names)
    found = {unit.unit_id: read_unit(root_uri, unit, plan) for unit in plan.units}
    rows = {name: unit.table for name, unit in found.items()}
    sha256s = {name: unit.sha256 for name, unit in found.items()}
    return Catalogue(plan, rows, sha256s, read_bytes(sealed.candidates_uri), sealed, contents(root_uri))


def contents(root_uri):
    """Return the bytes of every file, by path relative to the root."""
    return {file.uri.removeprefix(root_uri).lstrip("/"): read_bytes(file.uri) for file in list_files(root_uri)}


@dataclass(frozen=True)
class SmallNight:
    """Inputs, their ids, and the catalogue of an undisturbed scan."""

    inputs: Path
    ids: list[int]
    golden: Catalogue

    def check(self, root_uri):
        """Check that no row is lost, doubled or different from the undisturbed scan; return the catalogue."""
        harm.assert_none(harm.compare_catalogues(contents(root_uri), self.golden.files))
        found = read_catalogue(root_uri)
        assert found.plan == self.golden.plan
        assert sorted(i for table in found.rows.values() for i in table["object_id"].to_pylist()) == self.ids
        for name, table in self.golden.rows.items():
            assert found.rows[name].equals(table), name
        assert found.candidates == self.golden.candidates
        assert found.seal.units == found.sha256s
        changing = {"units", "candidates_uri"}
        assert found.seal.model_dump(exclude=changing) == self.golden.seal.model_dump(exclude=changing)
        return found


def small_night(folder, n_units):
    """Write a night of `n_units` units below `folder` and scan it once."""
    ids = write_inputs(folder / "inputs", n_units)
    root = str(folder / "golden")
    finish(start(run_night, folder / "inputs", root))
    golden = read_catalogue(root)
    check_golden(golden, ids)
    return SmallNight(folder / "inputs", ids, golden)


def check_golden(golden, ids):
    """Check the undisturbed catalogue itself, independently of the scan."""
    rows = [row for table in golden.rows.values() for row in table.to_pylist()]
    assert sorted(row["object_id"] for row in rows) == ids
    assert {row["status"] for row in rows} == {"scored", "rejected:blank"}
    likely = sorted((row["p_lens"] for row in rows if row["p_lens"] is not None and row["p_lens"] >= 0.5), reverse=True)
    assert 0 < len(likely) < len(rows)
    assert pq.read_table(pa.BufferReader(golden.candidates))["p_lens"].to_pylist() == likely


def committed_sha256s(root_uri):
    """Return the SHA-256 of every unit file that is visible now, by URI."""
    return {file.uri: sha256_bytes(read_bytes(file.uri)) for file in list_files(f"{root_uri}/_scan/units", ".unit")}


def start(function, *args, **kwargs):
    """Start a process that calls the function, in the current environment."""
    process = forks().Process(target=_call, args=(dict(os.environ), function, args, kwargs), daemon=True)
    process.start()
    return process


def _call(environment, function, args, kwargs):
    os.environ.update(environment)
    function(*args, **kwargs)


def finish(process, exitcode=0, seconds=100):
    """Wait for a process, which must end with the given exit code."""
    process.join(patience.scaled(seconds))
    if process.is_alive():
        process.kill()
        process.join()
        raise patience.TimedOut(f"a process had not ended after {patience.scaled(seconds):.0f} s")
    assert process.exitcode == exitcode


def is_stopped(process):
    """Return whether the process is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"


def warm_up():
    """Load everything that a first unit loads, and compute the code version."""
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder, "inputs"), 1)
        run_night(Path(folder, "inputs"), str(Path(folder, "catalogue")))
