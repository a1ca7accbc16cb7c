import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.removal import remove
from infra.store.storage import StorageError, create_if_absent, info, read_bytes
from scanner.catalogue.audit.id_sets import Difference
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.find_units import find_units
from scanner.catalogue.ledger import pending, publish
from scanner.catalogue.plan import ScanConfig, build_plan, freeze
from scanner.catalogue.selection import Selection
from scanner.catalogue.unit_inputs import InputChangedError, planned_ids
from scanner.catalogue.unitfile import Footer, encode_table, encode_unit, read_unit
from scanner.sources.tiles import discover_tiles, read_tile_catalogue
from tests.faults.harness.s3_proxy import Rule, Status, s3_proxy
from tests.scanner.audited import make_audited, replace, scores_of
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, scores, write_shard
from tests.tiles import write_tile, write_tiles


def unequal(found):
    """Return the differences that are not empty, by name."""
    return {name: (difference.n, difference.examples) for name, difference in found.differences.items() if difference.n}


def forge(night, name, table):
    """Put other rows into a unit file, with the footer that a unit of these rows would have."""
    unit = next(unit for unit in night.plan.units if unit.unit_id == name)
    footer = read_unit(night.root, unit, night.plan).footer
    replace(night.unit(name), encode_unit(table, Footer(**footer.model_dump() | {"n_rows": table.num_rows})))


def test_a_night_without_loss_is_equal(night):
    steps = []
    found = reconcile(night.plan, night.root, lambda *step: steps.append(step))
    assert found.is_equal
    assert unequal(found) == {}
    assert (found.n_rows, found.n_scored, found.n_rejected, found.n_unaccounted) == (8, 7, 1, 0)
    assert found.rows_by_status == {"rejected:blank": 1, "scored": 7}
    assert (found.n_candidates, found.n_owned_elsewhere, found.is_sealed) == (6, 1, True)
    assert found.inputs_unavailable == Difference()
    assert steps == [(i, 4) for i in range(1, 5)]
    assert (found.plan_id, found.night, found.n_units) == (night.plan.plan_id, night.plan.night, 4)
    assert found.model_dump()["is_equal"] is True


def test_pending_units_are_missing_with_their_ids(tmp_path):
    night = make_audited(tmp_path, str(tmp_path / "catalogue"))
    night.scan(only=("a",))
    found = reconcile(night.plan, night.root)
    assert not found.is_equal
    assert unequal(found) == {"missing_ids": (4, ("b: 5", "b: 6", "d: 7", "d: 8")), "missing_units": (3, ("b", "c", "d"))}
    assert found.n_unaccounted == 4


def test_a_committed_night_that_is_not_sealed_is_equal(local):
    found = reconcile(local.plan, local.root)
    assert found.is_equal
    assert not found.is_sealed


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([1, 2, 3], {"missing_ids": (1, ("a: 4",))}),
        ([1, 2, 3, 4, 9], {"extra_ids": (1, ("a: 9",))}),
        ([1, 2, 3, 3], {"missing_ids": (1, ("a: 4",)), "duplicate_ids": (1, ("a: 3",))}),
        ([1, 2, 3, 7], {"missing_ids": (1, ("a: 4",)), "extra_ids": (1, ("a: 7",)), "duplicate_ids": (1, ("a: 7",))}),
    ],
)
def test_a_missing_extra_or_repeated_row_is_named_by_id(local, ids, expected):
    forge(local, "a", scores_of(ids))
    found = reconcile(local.plan, local.root)
    assert not found.is_equal
    assert found.damaged_files.n == 1
    assert "a.unit" in found.damaged_files.examples[0]
    assert {name: value for name, value in unequal(found).items() if name != "damaged_files"} == expected


@pytest.mark.parametrize("column", ["object_id", "status"])
def test_rows_without_id_or_outcome_are_missing(local, column):
    """An editor may leave such rows, because the schema allows them."""
    table = scores_of([1, 2, 3, 4])
    place = table.column_names.index(column)
    values = [None, *table[column].to_pylist()[1:]]
    fields = [field.with_nullable(nullable=True) for field in table.schema]
    table = table.set_column(place, fields[place], pa.array(values, fields[place].type)).cast(pa.schema(fields))
    unit = local.plan.units[0]
    footer = read_unit(local.root, unit, local.plan).footer
    replace(local.unit("a"), encode_unit(table, footer))
    found = reconcile(local.plan, local.root)
    assert not found.is_equal
    assert unequal(found)["missing_ids"] == (1, ("a: 1",))
    assert found.damaged_files.n == 1


def test_a_damaged_file_is_counted_as_nothing(night):
    data = read_bytes(night.unit("d"))
    replace(night.unit("d"), data[:-9])
    found = reconcile(night.plan, night.root)
    assert {"missing_ids", "damaged_files", "extra_candidates", "seal_fields"} == set(unequal(found))
    assert found.missing_ids.examples == ("d: 7", "d: 8")
    assert found.extra_candidates.examples == ("7", "8")
    assert "rows_by_status" in found.seal_fields.examples


def test_extra_files_are_counted_and_five_are_named(local):
    extra = [local.unit(name) for name in ("deep/a", *"efghi")]
    for uri in extra:
        replace(uri, b"x")
    found = reconcile(local.plan, local.root)
    assert unequal(found) == {"extra_files": (6, tuple(sorted(extra)[:5]))}
    assert not found.is_equal


def test_a_unit_with_other_columns_is_damaged_and_still_counted(local):
    names = [name.replace("OU_66", "OU_67") for name in scores_of([]).column_names]
    Path(local.unit("d")).unlink()
    publish(scores_of([7, 8]).rename_columns(names), local.plan.units[3], local.plan, local.root, "try")
    found = reconcile(local.plan, local.root)
    why = f"{local.unit('d')}: has other columns than the units before it"
    assert unequal(found) == {"damaged_files": (1, (why,))}
    assert (found.n_scored, found.n_rejected, found.n_candidates, found.is_equal) == (7, 1, 4, False)


@pytest.mark.parametrize("change", ["dropped", "twice", "other score", "gone"])
def test_candidates_are_compared_row_by_row(local, change):
    local.seal()
    table = pq.read_table(pa.BufferReader(read_bytes(local.uri("candidates"))))
    changed = {
        "dropped": lambda: table.slice(1),
        "twice": lambda: pa.concat_tables([table, table.slice(0, 1)]),
        "other score": lambda: with_first_p(table, 0.81),
        "gone": lambda: None,
    }[change]()
    Path(local.uri("candidates")).unlink()
    if changed is not None:
        create_if_absent(local.uri("candidates"), encode_table(changed), "x")
    found = unequal(reconcile(local.plan, local.root))
    assert found.pop("damaged_files")[0] == 1
    assert (
        found
        == {
            "dropped": {"missing_candidates": (1, ("8",))},
            "twice": {"extra_candidates": (1, ("8",))},
            "other score": {"missing_candidates": (1, ("8",)), "extra_candidates": (1, ("8",))},
            "gone": {"missing_candidates": (6, ("3", "4", "5", "6", "7"))},
        }[change]
    )


def with_first_p(table, p_lens):
    values = [p_lens, *table["p_lens"].to_pylist()[1:]]
    i = table.schema.get_field_index("p_lens")
    return table.set_column(i, table.schema.field(i), pa.array(values, pa.float32()))


def test_every_wrong_field_of_a_seal_is_named(local):
    local.seal()
    data = read_bytes(local.uri("seal"))
    for name, value in json.loads(data).items():
        other = {str: lambda value: f"{value}0", int: lambda value: value + 1, dict: lambda value: dict([*value.items()][1:])}
        edited = json.loads(data) | {name: other[type(value)](value)}
        replace(local.uri("seal"), json.dumps(edited).encode())
        found = reconcile(local.plan, local.root)
        assert (unequal(found), found.is_equal, found.is_sealed) == ({"seal_fields": (1, (name,))}, False, True)
    replace(local.uri("seal"), data[:-3])
    assert set(unequal(reconcile(local.plan, local.root))) == {"damaged_files"}


def test_without_the_input_only_counts_and_digests_are_compared(local):
    (local.input / "a.parquet").unlink()
    with (local.input / "d.parquet").open("ab") as file:
        file.write(b"x")
    found = reconcile(local.plan, local.root)
    assert found.is_equal
    assert found.inputs_unavailable.n == 2
    assert "a.parquet is gone" in found.inputs_unavailable.examples[0]
    assert "d.parquet changed since the plan was made" in found.inputs_unavailable.examples[1]
    forge(local, "a", scores_of([1, 2, 3, 9]))
    found = reconcile(local.plan, local.root)
    assert set(unequal(found)) == {"damaged_files"}
    assert not found.is_equal


def test_the_ids_of_tiles_are_read_again(tmp_path):
    ids = write_tile(tmp_path, 1, 5)
    unit = find_units(str(tmp_path))[0]
    assert sorted(planned_ids(unit)) == sorted(ids)
    without = unit.model_copy(update={"owned_elsewhere": tuple(int(i) for i in ids[:2])})
    assert sorted(planned_ids(without)) == sorted(ids[2:])
    Path(unit.files["catalogue"].uri).unlink()
    with pytest.raises(InputChangedError, match="is gone"):
        planned_ids(unit)


def committed(folder, root):
    """Plan and commit the tiles of a folder as a scan does."""
    plan = build_plan(str(folder), NIGHT, EnsembleName(), ScanConfig(), root_uri=root)
    freeze(plan, root)
    for unit in pending(plan, root):
        publish(scores(ids := planned_ids(unit).tolist(), [0.9] * len(ids)), unit, plan, root, f"try-{unit.unit_id}")
    return plan


def test_a_tile_left_out_is_named_until_planned(tmp_path):
    root, tiles = str(tmp_path / "catalogue"), tmp_path / "tiles"
    write_tiles(tiles, 2, 3)
    catalogue = next(tiles.glob("*FINAL-CAT*TILE000000002*"))
    good = catalogue.read_bytes()
    catalogue.write_bytes(b"no table")
    plan = committed(tiles, root)
    found = reconcile(plan, root)
    assert not found.is_equal
    assert set(unequal(found)) == {"tiles_left_out"}
    assert found.tiles_left_out.n == 1
    assert found.tiles_left_out.examples[0].startswith(
        f"000000002 (unreadable catalogue: catalogue {catalogue}: cannot be read"
    )
    # A mended tile makes another plan, and the old one lacks no rows.
    catalogue.write_bytes(good)
    assert committed(tiles, root).plan_id != plan.plan_id
    assert reconcile(plan, root).is_equal


def test_a_plan_by_targets_names_the_tiles_left_out(tmp_path):
    """Such a plan is made anew for each scan."""
    root, tiles = str(tmp_path / "catalogue"), tmp_path / "tiles"
    write_tiles(tiles, 2, 3)
    sources = read_tile_catalogue(discover_tiles(str(tiles))[0].catalogue)
    (tmp_path / "targets.csv").write_text(f"ra,dec\n{sources.ra[0]:.9f},{sources.dec[0]:.9f}\n")
    next(tiles.glob("*FINAL-CAT*TILE000000002*")).unlink()
    selection = Selection(targets_uri=str(tmp_path / "targets.csv"))
    plan = build_plan(str(tiles), NIGHT, EnsembleName(), ScanConfig(), selection, root_uri=root)
    freeze(plan, root)
    assert reconcile(plan, root).tiles_left_out.n == 1


def test_a_tile_that_was_removed_is_not_left_out(tmp_path):
    root, tiles = str(tmp_path / "catalogue"), tmp_path / "tiles"
    write_tiles(tiles, 2, 3)
    next(tiles.glob("*FINAL-CAT*TILE000000002*")).unlink()
    plan = committed(tiles, root)
    assert reconcile(plan, root).tiles_left_out.examples[0].startswith("000000002 (no catalogue: ")
    for path in tiles.glob("*TILE000000002*"):
        path.unlink()
    assert committed(tiles, root).plan_id == plan.plan_id
    assert reconcile(plan, root).is_equal


@pytest.mark.server
def test_the_ids_of_a_tile_on_s3_take_one_request(tmp_path, s3, s3_variables, monkeypatch):
    ids = write_tile(tmp_path, 1, 5)
    for path in tmp_path.iterdir():
        create_if_absent(f"{s3}/in/{path.name}", path.read_bytes(), "1")
    (unit,) = find_units(f"{s3}/in")
    with s3_proxy(s3_variables["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        assert sorted(planned_ids(unit)) == sorted(ids)
        assert [request.method for request in proxy.log] == ["GET"]
        proxy.set_rules(Rule(Status(403), key="FINAL-CAT"))
        with pytest.raises(StorageError):
            planned_ids(unit)
    monkeypatch.undo()
    replace(unit.files["catalogue"].uri, b"no table")
    with pytest.raises(InputChangedError, match="changed since the plan was made"):
        planned_ids(unit)


@pytest.mark.server
def test_the_ids_of_shards_on_s3_are_read_again(tmp_path, s3):
    write_shard(tmp_path / "a.parquet", [3, 1, 2])
    create_if_absent(f"{s3}/in/a.parquet", (tmp_path / "a.parquet").read_bytes(), "1")
    unit = find_units(f"{s3}/in")[0]
    assert planned_ids(unit).tolist() == [3, 1, 2]
    remove(info(f"{s3}/in/a.parquet"))
    with pytest.raises(InputChangedError, match=r"a\.parquet is gone"):
        planned_ids(unit)


def test_bytes_that_change_on_their_way_are_read_once_more(night, monkeypatch):
    """The first answer of the store lacks the last byte of each unit file; the files are whole."""
    for module in ("seal", "audit.reconcile"):
        monkeypatch.setattr(f"scanner.catalogue.{module}.read_many", lambda files: (read_bytes(f.uri)[:-1] for f in files))
    sealed = read_bytes(night.uri("seal"))
    remove(info(night.uri("seal")))
    night.seal()
    assert read_bytes(night.uri("seal")) == sealed
    assert reconcile(night.plan, night.root).is_equal
