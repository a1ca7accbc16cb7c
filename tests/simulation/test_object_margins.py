"""Margins of simulated objects equal those of simulation and networks apart, from any number of processes."""

import numpy as np
import pytest

from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import load_package
from scanner.preprocess.channel import channels
from scanner.sources.shards import shard_of
from simulation import object_blocks, object_margins
from simulation.object_margins import MarginSimulator, margins_in
from simulation.products.dataset import DatasetSpec, simulate_objects
from simulation.products.render import SimulationError
from tests.scanner.cascades import write_cascade
from tests.scanner.ensembles import SPECS, write_test_package

SPEC = DatasetSpec(n=5, seed=3, kinds=(("nonlens", 0.5), ("single", 0.5)))
NETWORKS = (NetworkSpec("A", "equivariant_light", channels("sky_asinh", "VIS")), SPECS[0])


def margins_of_simulated(*given):
    """Return the margins of simulated objects, by network."""
    return margins_in(object_blocks.objects_of_blocks(MarginSimulator, *given))


def test_margins_are_those_of_the_same_objects(tmp_path, monkeypatch):
    # Blocks of three objects in batches of two: both end within the five.
    monkeypatch.setattr(object_blocks, "ROWS_PER_BLOCK", 3)
    monkeypatch.setattr(object_margins, "_BATCH", 2)
    write_test_package(tmp_path / "package", NETWORKS)
    calls = []
    found = margins_of_simulated(SPEC, tmp_path / "package", "torch", str(tmp_path / "m"), 1, lambda *done: calls.append(done))
    assert calls == [(0, 5), (3, 5), (5, 5)]
    stamps = shard_of(simulate_objects(SPEC, range(5))).stamps
    expected = load_package(tmp_path / "package", "torch").logit_margins(stamps)
    assert list(found) == list(expected) == ["A", SPECS[0].name]
    assert found["A"].shape == (5, 3)
    assert found[SPECS[0].name].shape == (5, 1)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)
    again = margins_of_simulated(SPEC, tmp_path / "package", "torch", str(tmp_path / "m"))
    assert all(np.array_equal(again[name], values) for name, values in found.items())


def test_another_process_gives_the_same_margins(tmp_path):
    write_test_package(tmp_path / "package", NETWORKS[:1])
    here, there = (margins_of_simulated(SPEC, tmp_path / "package", "torch", str(tmp_path / str(n)), n) for n in (1, 2))
    np.testing.assert_allclose(there["A"], here["A"], rtol=1e-4, atol=1e-5)


def test_margins_of_other_networks_are_refused(tmp_path):
    write_test_package(tmp_path / "package", NETWORKS[:1])
    write_test_package(tmp_path / "other", NETWORKS[:1], seed=1)
    margins_of_simulated(SPEC, tmp_path / "package", "torch", str(tmp_path / "m"))
    with pytest.raises(SimulationError, match="of another ensemble"):
        margins_of_simulated(SPEC, tmp_path / "other", "torch", str(tmp_path / "m"))


def test_a_cascade_gives_no_margins(tmp_path):
    write_cascade(tmp_path / "cascade")
    with pytest.raises(TypeError, match="need an ensemble without stages, got a cascade"):
        MarginSimulator(tmp_path / "cascade", "torch", str(tmp_path)).outputs(None)
