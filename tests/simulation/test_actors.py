import os
import time
from pathlib import Path

import pytest
import ray

from infra.ray.actor_pool import ActorPool
from infra.ray.cluster import ClusterError, ray_session
from scanner.sources.shards import ROWS_PER_SHARD, decode_shard
from simulation.actors import results, simulate_dataset, simulate_night
from simulation.products.dataset import DatasetSpec, simulate_shard
from simulation.products.render import SimulationError
from simulation.products.survey_tile import TileSpec, simulate_tile

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def session():
    with ray_session(num_cpus=2):
        yield


def test_a_data_set_is_written_once_and_equals_one_process(tmp_path):
    spec = DatasetSpec(n=4, seed=2)
    calls = []
    uris = simulate_dataset(spec, str(tmp_path), 2, lambda done, total: calls.append((done, total)))
    assert [Path(uri).name for uri in uris] == ["shard-00000.parquet"]
    assert calls == [(0, 4), (4, 4)]
    shard = decode_shard(Path(uris[0]).read_bytes())
    expected = simulate_shard(spec, 0)
    assert shard.truth.equals(expected.select(shard.truth.column_names))
    assert shard.stamps["VIS"][2].ravel().tolist() == expected["VIS"][2].as_py()
    again = []
    assert simulate_dataset(spec, str(tmp_path), 2, lambda done, total: again.append((done, total))) == uris
    assert again == [(4, 4)]
    with pytest.raises(SimulationError, match="belongs to another data set"):
        simulate_dataset(DatasetSpec(n=4, seed=3), str(tmp_path), 2)


def test_a_nights_tiles_do_not_depend_on_the_actors(tmp_path):
    specs = [TileSpec(tile_id=f"00000000{i}", n_galaxies=2, n_single=1, side_pixels=400, seed=1) for i in (1, 2)]
    calls = []
    files = simulate_night(specs, str(tmp_path / "a"), 2, lambda done, total: calls.append((done, total)))
    assert calls == [(0, 2), (1, 2), (2, 2)]
    assert len(files) == 12
    assert all("000000001" in uri for uri in files[:6])
    alone = simulate_tile(specs[1], str(tmp_path / "b"))
    assert [Path(uri).read_bytes() for uri in files[6:]] == [Path(uri).read_bytes() for uri in alone]


def test_a_tile_that_cannot_be_made_is_named(tmp_path):
    crowded = TileSpec(tile_id="000000009", n_galaxies=0, n_single=40, side_pixels=400)
    with pytest.raises(ClusterError, match=r"000000009.*no room"):
        simulate_night([crowded], str(tmp_path), 1)


@ray.remote(num_cpus=0.1)
class Stub:
    def sleep(self, seconds):
        time.sleep(seconds)
        return os.getpid()

    def fail(self, _):
        raise ValueError("no room")

    def die(self, _):
        os._exit(1)


@pytest.fixture
def stubs(session):
    pool = ActorPool(Stub.remote, 2, 1)
    yield pool
    pool.close()


def test_results_come_as_they_complete(stubs):
    ray.get([slot.starting for slot in stubs._slots])
    ended = list(results(stubs, "sleep", [1.0, 0.01]))
    assert [task for task, _ in ended] == [0.01, 1.0]
    assert len({pid for _, pid in ended}) == 2


@pytest.mark.parametrize(("method", "reason"), [("fail", r"ValueError\('no room'\)"), ("die", "its worker died: ")])
def test_a_failed_call_names_its_task_and_cause(stubs, method, reason):
    with pytest.raises(ClusterError, match=rf"{method}\('tile-7'\) failed: {reason}"):
        list(results(stubs, method, ["tile-7"]))


def test_tiles_are_named_once_and_need_a_worker(tmp_path):
    spec = TileSpec(tile_id="000000001", n_galaxies=1, side_pixels=400)
    with pytest.raises(ValueError, match="once"):
        simulate_night([spec, spec], str(tmp_path), 1)
    with pytest.raises(ValueError, match="workers must be >= 1, got 0"):
        simulate_night([spec], str(tmp_path), 0)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["euclid", "wilde2022"])
def test_shards_are_the_same_bytes_for_one_and_four_actors(tmp_path, preset):
    spec = DatasetSpec(
        n=3 * ROWS_PER_SHARD + 1,
        seed=3,
        preset=preset,
        kinds=(("single", 0.5), ("faint" if preset == "euclid" else "twin", 0.5)),
    )
    files = [simulate_dataset(spec, str(tmp_path / str(n)), n) for n in (1, 4)]
    for one, four in zip(*files, strict=True):
        assert Path(one).read_bytes() == Path(four).read_bytes()
