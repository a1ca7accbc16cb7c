"""The published rows of a night follow from its plans, and from nothing else."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scanner.catalogue.night_file import write_night as write_file
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.visible import VisibleError
from scanner.hats import nights
from scanner.hats.nights import nights_of, source_of, write_night
from scanner.hats.sky import FOOTPRINT_ORDER
from tests.scanner.catalogue_parts import NIGHT, finished, purity_table
from tests.scanner.hats.published import LONG_REFERENCE, known_lenses

ROWS = {"a": {1: 0.9, 2: 0.6}, "b": {3: 0.7, 4: 0.1, 5: None}}


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def made(folder):
    folder.mkdir()
    return folder


def test_a_night_is_written_with_its_provenance(root, tmp_path):
    plan = finished(root, ROWS)
    ((label, plans),) = nights_of(root).items()
    entry, leaves = write_night(root, label, plans, tmp_path)
    assert (label, entry.plans, entry.networks, entry.has_maps) == (NIGHT, (plan.plan_id,), ("OU-66", "OU-200"), False)
    assert (entry.n_rows, entry.n_without_position, sum(leaf.n_rows for leaf in leaves)) == (3, 0, 3)
    assert len(entry.footprint.split()) - entry.footprint.count("/") == 3
    assert entry.footprint.startswith(f"{FOOTPRINT_ORDER}/"), "objects 1-4 were scored, 5 was not"


def test_rows_have_the_nearest_known_lens(root, tmp_path):
    finished(root, {"a": {1: 0.9, 2: 0.8, 60: 0.7}, "b": {361: 0.6}})
    ((label, plans),) = nights_of(root).items()
    for known, n_known in ((known_lenses(tmp_path), 3), (None, 0)):
        entry, leaves = write_night(root, label, plans, made(tmp_path / f"{n_known}"), known)
        assert (entry.n_rows, entry.n_known) == (4, n_known)
        tables = [pq.read_table(tmp_path / f"{n_known}" / leaf.path, partitioning=None) for leaf in leaves]
        rows = {row["object_id"]: row for row in pa.concat_tables(tables).to_pylist()}
        found = {i: (row["known_name"], row["known_grade"], row["known_reference"]) for i, row in rows.items()}
        nearest = ("Nearest", "A", LONG_REFERENCE)
        expected = {1: nearest, 2: ("", "", ""), 60: ("Edge", "", ""), 361: nearest}
        assert found == (expected if known else dict.fromkeys(expected, ("", "", "")))
        separations = [rows[i]["known_separation_arcsec"] for i in (1, 2, 60, 361)]
        assert separations == (pytest.approx([1, None, 2.9, 1], abs=1e-6) if known else [None] * 4)


def test_the_source_changes_with_what_readers_see(root, tmp_path, monkeypatch):
    finished(root, ROWS)
    (plans,) = nights_of(root).values()
    source = source_of(plans)
    assert source == source_of(list(plans))
    others = [
        [replace(plans[0], threshold=0.7)],
        [replace(plans[0], units=frozenset({"a"}))],
        [replace(plans[0], purity=purity_table(0.5))],
        [replace(plans[0], plan_id="f" * 64)],
        [plans[0], replace(plans[0], plan_id="f" * 64)],
    ]
    assert len({source, *map(source_of, others)}) == 6
    tables = [known_lenses(tmp_path), known_lenses(tmp_path, "Other"), known_lenses(tmp_path)]
    matched = [source_of(plans, known) for known in tables]
    tables[0] = replace(tables[0], table=tables[0].table.model_copy(update={"limit_arcsec": 2.0}))
    assert len({source, *matched, source_of(plans, tables[0])}) == 4
    assert matched[0] == matched[2]
    monkeypatch.setattr(nights, "_FORMAT", 2)
    assert source_of(plans) != source


def test_a_newer_record_for_the_same_rows_changes_nothing(root):
    finished(root, ROWS)
    (plans,) = nights_of(root).values()
    assert source_of([replace(plans[0], record=9)]) == source_of(plans)


def test_a_night_that_changes_meanwhile_is_refused(root, tmp_path):
    finished(root, ROWS)
    (plans,) = nights_of(root).values()
    finished(root, {"a": {1: 0.8}})
    with pytest.raises(VisibleError, match=r"shows other scans than a moment ago"):
        write_night(root, NIGHT, plans, tmp_path)


def test_an_old_file_of_a_night_is_written_first(root, tmp_path, monkeypatch):
    finished(root, ROWS)
    monkeypatch.setattr("scanner.catalogue.night_file.write_night", lambda *_: None)
    finished(root, {"a": {1: 0.95, 2: 0.96}})
    monkeypatch.setattr("scanner.catalogue.night_file.write_night", write_file)
    (plans,) = nights_of(root).values()
    entry, _ = write_night(root, NIGHT, plans, tmp_path)
    assert (len(entry.plans), entry.n_rows) == (2, 3)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_unit_is_named(root, tmp_path, damage):
    plan = finished(root, ROWS)
    (plans,) = nights_of(root).values()
    unit = Path(unit_uri(root, plan.plan_id, "b"))
    data, group = bytearray(unit.read_bytes()), pq.read_metadata(unit).row_group(0)
    (ra,) = (column for column in map(group.column, range(group.num_columns)) if column.path_in_schema == "ra")
    start = ra.dictionary_page_offset or ra.data_page_offset
    data[start + ra.total_compressed_size - 1] ^= 1
    unit.write_bytes(data if damage == "flipped" else unit.read_bytes()[:-10])
    with pytest.raises(VisibleError, match=r"b\.unit: cannot be read: "):
        write_night(root, NIGHT, plans, tmp_path)
