import pytest

from simulation.products.dataset import DatasetSpec
from simulation.products.render import SimulationError
from simulation.simulator import Simulator


def test_two_runs_do_not_mix_their_data_sets(tmp_path):
    """The second run has found no shard when it began, as if both had begun at once."""
    first, second = (DatasetSpec(n=1, seed=seed, kinds=(("star", 1.0),)) for seed in (1, 2))
    simulator = Simulator(str(tmp_path))
    uri = simulator.shard((first, 0))
    assert simulator.shard((first, 0)) == uri
    with pytest.raises(SimulationError, match=r"belongs to another data set \(seed 1, not 2\); use another folder"):
        simulator.shard((second, 0))
