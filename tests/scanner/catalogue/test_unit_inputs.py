"""Compare the files of a unit with their state in the plan, and read the ids in them again."""

from pathlib import Path

import pytest

from infra.store.storage import StorageError
from scanner.catalogue.find_units import find_units
from scanner.catalogue.unit_inputs import InputChangedError, check_unchanged, n_catalogues_ahead, planned_ids, shard_file_ids
from tests.scanner.catalogue_parts import write_shard


@pytest.fixture
def unit(tmp_path):
    write_shard(tmp_path / "s.parquet", [7, 3, 5])
    (unit,) = find_units(str(tmp_path))
    return unit


@pytest.fixture
def path(unit):
    return Path(unit.files["shard"].uri)


def test_unchanged_files_pass_and_give_the_planned_ids(unit):
    check_unchanged(unit)
    assert planned_ids(unit).tolist() == [7, 3, 5]
    assert planned_ids(unit.model_copy(update={"owned_elsewhere": (3,)})).tolist() == [7, 5]


@pytest.mark.parametrize("check", [check_unchanged, planned_ids])
def test_a_file_that_changed_or_is_gone_is_named(unit, path, check):
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputChangedError, match=rf"^unit s: shard {path} changed since the plan was made$"):
        check(unit)
    path.unlink()
    with pytest.raises(InputChangedError, match=rf"^unit s: shard {path} is gone$"):
        check(unit)


@pytest.mark.parametrize("check", [check_unchanged, planned_ids])
def test_a_store_that_fails_is_no_change_of_the_input(unit, monkeypatch, check):
    def fail(_uri):
        raise StorageError("no route to the store")

    monkeypatch.setattr("scanner.catalogue.unit_inputs.info", fail)
    with pytest.raises(StorageError, match=r"^no route to the store"):
        check(unit)


def test_a_shard_replaced_as_it_is_opened_is_named(unit, path, monkeypatch):
    def read(uri):
        write_shard(path, [4, 5])
        return shard_file_ids(uri)

    monkeypatch.setattr("scanner.catalogue.unit_inputs.shard_file_ids", read)
    with pytest.raises(InputChangedError, match="changed since the plan was made"):
        planned_ids(unit)


def test_few_large_catalogues_are_held_at_a_time():
    assert n_catalogues_ahead([2**20, 2**23]) == n_catalogues_ahead([]) == 8
    assert n_catalogues_ahead([2**20, 10**8]) == 2
