"""Scored objects equal those of simulation and scoring apart."""

import pytest

from scanner.networks.package import load_scorer
from scanner.scan.manifest import score_stamps
from scanner.scan.scoring import CutoutScanner
from scanner.sources.shards import shard_of
from simulation.object_blocks import done_blocks
from simulation.products.dataset import DatasetSpec, simulate_objects
from simulation.scored_objects import ScoringSimulator, score_simulated

SPEC = DatasetSpec(n=5, seed=3, kinds=(("nonlens", 0.5), ("single", 0.5)))


def test_scores_are_those_of_the_same_objects(package, tmp_path):
    calls = []
    table = score_simulated(SPEC, package, "torch", str(tmp_path / "s"), 1, lambda *done: calls.append(done))
    assert calls == [(0, 5), (2, 5), (4, 5), (5, 5)]
    shard = shard_of(simulate_objects(SPEC, range(5)))
    scores = score_stamps(shard.stamps, CutoutScanner(load_scorer(package, "torch"), check_above=None))
    assert table["index"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["kind"].to_pylist() == shard.truth["kind"].to_pylist()
    assert table["morphology"].to_pylist() == shard.truth["morphology"].to_pylist()
    for name in ("p_lens", "p_OU_H", "p_OU_66"):
        assert table[name].to_numpy() == pytest.approx(scores[name].to_numpy(), rel=1e-5)
    assert set(table.column_names) == {"index", "kind", "morphology", "status", "p_lens", "p_compound", "p_OU_H", "p_OU_66"}
    assert done_blocks(ScoringSimulator, SPEC, load_scorer(package, "torch").sha256, str(tmp_path / "s")).equals(table)
