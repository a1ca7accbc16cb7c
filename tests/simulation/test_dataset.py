import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pydantic import ValidationError

from infra.storage import create_if_absent
from scanner.pixels.geometry import CHALLENGE
from scanner.pixels.shards import KINDS, ROWS_PER_SHARD, decode_shard, encode_shard, shard_schema
from simulation import render as render_module
from simulation.contact_sheet import contact_sheet_png
from simulation.dataset import (
    DatasetSpec,
    is_shard_of,
    shard_uris,
    simulate_objects,
    simulate_shard,
    write_contact_sheet,
)
from simulation.render import SimulationError

SPEC = DatasetSpec(n=12, seed=7)


@pytest.fixture(scope="module")
def table():
    return simulate_objects(SPEC, range(12))


def test_a_table_is_a_shard_with_truth(table):
    assert table.schema.equals(shard_schema(CHALLENGE))
    shard = decode_shard(encode_shard(table))
    assert shard.object_ids.tolist() == list(range(12)) == shard.truth["index"].to_pylist()
    assert set(shard.truth["kind"].to_pylist()) <= set(KINDS)
    assert shard.stamps["H"].shape == (12, 66, 66)
    assert all(np.isfinite(stamps).all() for stamps in shard.stamps.values())
    assert shard.truth["z_lens"].null_count == 0


def test_an_object_depends_on_seed_and_index_only(table):
    """Whoever simulates it, in whatever order, beside whatever else."""
    part = simulate_objects(SPEC, [9, 2])
    assert part.equals(pa.concat_tables([table.slice(9, 1), table.slice(2, 1)]))
    longer = DatasetSpec(n=9999, seed=7)
    assert simulate_objects(longer, [2]).equals(table.slice(2, 1))
    assert not simulate_objects(DatasetSpec(n=12, seed=8), [2])["VIS"].equals(table.slice(2, 1)["VIS"])


def test_kinds_come_in_the_fractions_asked_for():
    spec = DatasetSpec(n=6, seed=1, fractions=(("double_ring", 1.0), ("nonlens", 0.0)))
    assert simulate_objects(spec, range(3))["kind"].to_pylist() == ["double_ring"] * 3


def test_shards_split_the_objects(tmp_path):
    spec = DatasetSpec(n=ROWS_PER_SHARD + 2, seed=7)
    assert [uri.rsplit("/", 1)[1] for uri in shard_uris(spec, "s3://b/d")] == ["shard-00000.parquet", "shard-00001.parquet"]
    last = simulate_shard(spec, 1)
    assert last["object_id"].to_pylist() == [ROWS_PER_SHARD, ROWS_PER_SHARD + 1]
    with pytest.raises(ValueError, match=r"shard_number must be in \[0, 2\), got 2"):
        simulate_shard(spec, 2)


def test_a_shard_knows_its_data_set(tmp_path):
    spec = DatasetSpec(n=2, seed=7)
    uri = shard_uris(spec, str(tmp_path))[0]
    assert not is_shard_of(spec, 0, uri)
    create_if_absent(uri, encode_shard(simulate_shard(spec, 0)), "test")
    assert is_shard_of(spec, 0, uri)
    for other in (DatasetSpec(n=2, seed=8), DatasetSpec(n=3, seed=7), DatasetSpec(n=2, seed=7, geometry="mer")):
        with pytest.raises(SimulationError, match="holds 2 objects"):
            is_shard_of(other, 0, uri)


def test_a_failed_object_is_named(monkeypatch):
    monkeypatch.setattr(render_module, "MIN_ARC_SNR", 1e9)
    monkeypatch.setattr(render_module, "MAX_TRIES", 2)
    spec = DatasetSpec(n=6, seed=3, fractions=(("single", 1.0),))
    with pytest.raises(SimulationError, match="object 5 of seed 3: no visible single"):
        simulate_objects(spec, [5])


@pytest.mark.parametrize(
    "fractions",
    [(("single", 0.5),), (("single", 1.5), ("nonlens", -0.5)), (("single", 0.5), ("single", 0.5)), (("star", 1.0),)],
)
def test_impossible_fractions_are_refused(fractions):
    with pytest.raises(ValidationError):
        DatasetSpec(n=1, seed=1, fractions=fractions)


def test_contact_sheet_shows_every_kind(table, tmp_path):
    uri = str(tmp_path / "shard.parquet")
    create_if_absent(uri, encode_shard(table), "test")
    sheet = tmp_path / "sheet.png"
    write_contact_sheet(uri, str(sheet))
    shard = decode_shard(encode_shard(table))
    assert sheet.read_bytes() == contact_sheet_png(shard)
    with Image.open(sheet) as image:
        n_kinds = len(set(shard.truth["kind"].to_pylist()))
        assert image.size[1] == round(3.2 * 90 * n_kinds)
        assert np.asarray(image.convert("L")).std() > 20


def test_a_contact_sheet_needs_kinds(table):
    column = table.schema.get_field_index("kind")
    unknown = table.set_column(column, table.schema.field("kind"), pa.nulls(12, pa.string()))
    with pytest.raises(ValueError, match="names no kind"):
        contact_sheet_png(decode_shard(encode_shard(unknown)))
