"""Data sets and tiles are the same from this process, from other processes and from Ray."""

from contextlib import closing
from pathlib import Path

import pytest

from infra.errors import ClusterError, LensscanError
from infra.infrastructure_errors import is_infrastructure
from infra.local_pool import LocalPool
from infra.store.storage import StorageError
from scanner.sources.shards import ROWS_PER_SHARD, decode_shard
from simulation.products.dataset import DatasetSpec, simulate_shard
from simulation.products.render import SimulationError
from simulation.products.survey_tile import TileSpec, simulate_tile
from simulation.run import results, simulate_dataset, simulate_night


def test_a_data_set_is_written_once_and_equals_one_process(tmp_path):
    spec = DatasetSpec(n=4, seed=2)
    calls = []
    uris = simulate_dataset(spec, str(tmp_path), 2, lambda done, total: calls.append((done, total)))
    assert [Path(uri).name for uri in uris] == ["shard-00000.parquet"]
    assert calls == [(0, 4), (4, 4)]
    shard = decode_shard(Path(uris[0]).read_bytes())
    expected = simulate_shard(spec, 0)
    assert shard.truth.equals(expected.select(shard.truth.column_names))
    assert shard.stamps["VIS"][2].tobytes() == expected["VIS"][2].as_py()
    again = []
    assert simulate_dataset(spec, str(tmp_path), 2, lambda done, total: again.append((done, total))) == uris
    assert again == [(4, 4)]
    with pytest.raises(SimulationError, match="belongs to another data set"):
        simulate_dataset(DatasetSpec(n=4, seed=3), str(tmp_path), 2)


@pytest.mark.parametrize(("address", "workers"), [(None, 2), pytest.param("local", 1, marks=pytest.mark.ray)])
def test_a_nights_tiles_do_not_depend_on_the_workers(tmp_path, address, workers):
    specs = [TileSpec(tile_id=f"00000000{i}", n_galaxies=2, n_single=1, side_pixels=400, seed=1) for i in (1, 2)]
    calls = []
    files = simulate_night(specs, str(tmp_path / "a"), workers, lambda done, total: calls.append((done, total)), address)
    assert calls == [(0, 2), (1, 2), (2, 2)]
    assert len(files) == 12
    assert all("000000001" in uri for uri in files[:6])
    alone = simulate_tile(specs[1], str(tmp_path / "b"))
    assert [Path(uri).read_bytes() for uri in files[6:]] == [Path(uri).read_bytes() for uri in alone]


def test_a_tile_that_cannot_be_made_is_told_plainly(tmp_path):
    crowded = TileSpec(tile_id="000000009", n_galaxies=0, n_single=40, side_pixels=400)
    with pytest.raises(SimulationError, match=r"^tile 000000009: .*no room") as raised:
        simulate_night([crowded], str(tmp_path), 2)
    assert "TileSpec" not in str(raised.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    tile = TileSpec(tile_id="000000000", n_galaxies=2, side_pixels=400)
    with pytest.raises(StorageError, match=rf"^{tmp_path}/file/000000000"):
        simulate_night([tile], str(tmp_path / "file"), 1)


@pytest.fixture
def stubs():
    with closing(LocalPool("tests.infra.pool_worker:Worker", (), 2, 1, {})) as pool:
        yield pool


def test_results_come_as_they_complete(stubs):
    assert {task for task, _ in results(stubs, "sleep", [0.0, 0.1])} == {0.0, 0.1}
    ended = list(results(stubs, "sleep", [1.0, 0.01]))
    assert [task for task, _ in ended] == [0.01, 1.0]


@pytest.mark.parametrize(
    ("method", "reason", "kind"),
    [("fail", r"KeyError\('tile-7'\)", SimulationError), ("leave", "its worker died: exit code 1", ClusterError)],
)
def test_a_failed_call_names_its_task_and_cause(stubs, method, reason, kind):
    with pytest.raises(kind, match=rf"^{method} tile-7 failed: {reason}") as raised:
        list(results(stubs, method, ["tile-7"]))
    assert is_infrastructure(raised.value) == (method == "leave")


def test_an_error_of_the_product_is_raised_as_it_is(stubs):
    with pytest.raises(LensscanError, match=r"^s3://bucket/tile-7: is full$"):
        list(results(stubs, "fill", ["s3://bucket/tile-7"]))


def test_tiles_are_named_once_and_need_a_worker(tmp_path):
    spec = TileSpec(tile_id="000000001", n_galaxies=1, side_pixels=400)
    with pytest.raises(ValueError, match="once"):
        simulate_night([spec, spec], str(tmp_path), 1)
    with pytest.raises(ValueError, match="workers must be >= 1, got 0"):
        simulate_night([spec], str(tmp_path), 0)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["euclid", "wilde2022"])
def test_shards_are_the_same_bytes_for_one_and_four_workers(tmp_path, preset):
    spec = DatasetSpec(
        n=3 * ROWS_PER_SHARD + 1,
        seed=3,
        preset=preset,
        kinds=(("single", 0.5), ("faint" if preset == "euclid" else "twin", 0.5)),
    )
    files = [simulate_dataset(spec, str(tmp_path / str(n)), n) for n in (1, 4)]
    for one, four in zip(*files, strict=True):
        assert Path(one).read_bytes() == Path(four).read_bytes()
