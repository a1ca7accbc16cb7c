"""Blocks of objects are made once, by any number of processes, and go on after a kill."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from infra.store.storage import read_bytes
from scanner.networks.package import load_scorer
from simulation.object_blocks import block_uri, done_blocks, nonlenses
from simulation.products.dataset import DatasetSpec
from simulation.products.render import SimulationError
from simulation.scored_objects import ScoringSimulator, score_simulated
from tests.scanner.ensembles import SPECS, write_test_package

SPEC = DatasetSpec(n=5, seed=3, kinds=(("nonlens", 0.5), ("single", 0.5)))


def test_a_killed_run_goes_on(package, tmp_path):
    whole = score_simulated(SPEC, package, "torch", str(tmp_path / "s"))
    lost, kept = (tmp_path / "s" / f"scored-0000{number}.parquet" for number in (1, 2))
    lost.unlink()
    before, calls = kept.stat().st_mtime_ns, []
    sha256 = load_scorer(package, "torch").sha256
    assert done_blocks(ScoringSimulator, SPEC, sha256, str(tmp_path / "s"))["index"].to_pylist() == [0, 1, 4]
    again = score_simulated(SPEC, package, "torch", str(tmp_path / "s"), 1, lambda *done: calls.append(done))
    assert again.equals(whole)
    assert kept.stat().st_mtime_ns == before
    assert calls == [(3, 5), (5, 5)]


def test_processes_make_the_same_blocks(package, tmp_path, monkeypatch):
    monkeypatch.undo()  # Worker processes have blocks of the full size.
    one, two = (score_simulated(SPEC, package, "torch", str(tmp_path / str(n)), n) for n in (1, 2))
    assert two.drop_columns(["p_lens", "p_OU_H", "p_OU_66"]).equals(one.drop_columns(["p_lens", "p_OU_H", "p_OU_66"]))
    assert two["p_lens"].to_numpy() == pytest.approx(one["p_lens"].to_numpy(), rel=1e-5)


def test_blocks_of_other_objects_are_refused(package, tmp_path):
    out = str(tmp_path / "s")
    score_simulated(SPEC, package, "torch", out)
    with pytest.raises(SimulationError, match="holds other objects, or scores of another ensemble"):
        score_simulated(SPEC.model_copy(update={"seed": 4}), package, "torch", out)
    with pytest.raises(SimulationError, match="holds 1 objects: its last block cannot grow"):
        score_simulated(SPEC.model_copy(update={"n": 6}), package, "torch", out)
    with pytest.raises(SimulationError, match="holds 2 objects: its last block cannot get shorter"):
        score_simulated(SPEC.model_copy(update={"n": 3}), package, "torch", out)
    write_test_package(tmp_path / "other", SPECS[:2], seed=1)
    with pytest.raises(SimulationError, match="holds other objects, or scores of another ensemble"):
        score_simulated(SPEC, tmp_path / "other", "torch", out)


def beaten_by(monkeypatch, other):
    """Let another run write each block, of its own data set, just before this one does."""
    write = ScoringSimulator.block

    def beaten(simulator, task):
        write(simulator, (other, task[1]))
        return write(simulator, task)

    monkeypatch.setattr(ScoringSimulator, "block", beaten)


def test_blocks_that_another_run_made_meanwhile_are_used(package, tmp_path, monkeypatch):
    beaten_by(monkeypatch, SPEC)
    assert score_simulated(SPEC, package, "torch", str(tmp_path / "s"))["index"].to_pylist() == [0, 1, 2, 3, 4]


def test_other_blocks_made_meanwhile_are_refused(package, tmp_path, monkeypatch):
    beaten_by(monkeypatch, SPEC.model_copy(update={"seed": 4}))
    with pytest.raises(SimulationError, match=r"scored-00000\.parquet holds other objects, or scores of another ensemble"):
        score_simulated(SPEC, package, "torch", str(tmp_path / "s"))
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_a_block_that_was_removed_meanwhile_is_named(package, tmp_path, monkeypatch):
    write = ScoringSimulator.block

    def removed(simulator, task):
        Path(write(simulator, task)).unlink()

    monkeypatch.setattr(ScoringSimulator, "block", removed)
    with pytest.raises(SimulationError, match=r"scored-00000\.parquet: was removed while this run made the blocks"):
        score_simulated(SPEC, package, "torch", str(tmp_path / "s"))


def test_each_block_is_read_once(package, tmp_path, monkeypatch):
    score_simulated(SPEC, package, "torch", str(tmp_path / "s"))
    (tmp_path / "s" / "scored-00001.parquet").unlink()
    read = []
    monkeypatch.setattr("simulation.object_blocks.read_bytes", lambda uri: read.append(uri) or read_bytes(uri))
    score_simulated(SPEC, package, "torch", str(tmp_path / "s"))
    # The one that is missing is asked for, and read once it is made.
    assert [Path(uri).stem for uri in read] == ["scored-00000", "scored-00001", "scored-00002", "scored-00001"]


def test_a_damaged_block_is_refused(package, tmp_path):
    score_simulated(SPEC, package, "torch", str(tmp_path / "s"))
    (tmp_path / "s" / "scored-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(SimulationError, match=r"scored-00001\.parquet: not a block of scored objects"):
        score_simulated(SPEC, package, "torch", str(tmp_path / "s"))


def test_no_blocks_are_no_objects(tmp_path):
    with pytest.raises(SimulationError, match="holds no blocks of scored objects"):
        done_blocks(ScoringSimulator, SPEC, "0" * 64, str(tmp_path))


def test_non_lenses_have_the_shares_of_the_preset(package, tmp_path):
    spec = nonlenses(3, 1, "challenge")
    table = score_simulated(spec, package, "torch", str(tmp_path / "s"))
    assert set(table["kind"].to_pylist()) == {"nonlens"}
    assert np.isfinite(table["p_lens"].to_numpy()).all()
    assert pq.read_table(block_uri(str(tmp_path / "s"), 0, ScoringSimulator.prefix)).num_rows == 2
    with pytest.raises(ValueError, match="geometry"):
        nonlenses(3, 1, "round")
