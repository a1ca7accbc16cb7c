"""Check that a unit file gives back its rows, and that damage or a file of another unit is refused."""

from pathlib import Path

import pytest

from infra.provenance import sha256_bytes
from scanner.catalogue.ledger import publish
from scanner.catalogue.unitfile import (
    UnitFileError,
    decode_unit,
    encode_unit,
    make_footer,
    read_unit,
    unit_files,
    unit_uri,
    units_uri,
)
from tests.scanner.catalogue_parts import plan_of, scores

IDS = [5, -2, 9, 4]
P_LENS = [0.1, 0.9, None, 0.95]


@pytest.fixture
def plan():
    return plan_of({"a": IDS, "b": [7], "c": IDS})


def encoded(plan, table):
    return encode_unit(table, make_footer(table, plan.unit("a"), plan, "try"))


def test_the_footer_counts_the_rows(plan):
    footer = make_footer(scores(IDS, P_LENS), plan.unit("a"), plan, "try-1")
    assert (footer.plan_id, footer.unit_id, footer.attempt) == (plan.plan_id, "a", "try-1")
    assert (footer.n_rows, footer.n_scored, footer.n_rejected, footer.n_candidates) == (4, 3, 1, 2)
    assert footer.id_digest == plan.unit("a").id_digest


def test_a_unit_file_gives_back_its_rows(plan):
    table = scores(IDS, P_LENS)
    data = encoded(plan, table)
    assert encoded(plan, table) == data
    found = decode_unit(data, plan.unit("a"), plan, "here")
    assert found.table.equals(table)
    assert found.footer == make_footer(table, plan.unit("a"), plan, "try")
    assert found.sha256 == sha256_bytes(data)


def test_unit_files_are_listed_by_unit(tmp_path, plan):
    root = str(tmp_path)
    assert unit_files(root, plan.plan_id) == {}
    publish(scores([7], [0.5]), plan.unit("b"), plan, root, "try")
    assert unit_uri(root, plan.plan_id, "b") == f"{units_uri(root, plan.plan_id)}/b.unit"
    assert {name: file.uri for name, file in unit_files(root, plan.plan_id).items()} == {"b": unit_uri(root, plan.plan_id, "b")}
    with pytest.raises(FileNotFoundError):
        read_unit(root, plan.unit("a"), plan)


def test_the_file_of_another_unit_or_plan_is_refused(plan):
    data = encoded(plan, scores(IDS, P_LENS))
    with pytest.raises(UnitFileError, match=r"^here: its footer does not fit its rows or plan \w+: unit_id$"):
        decode_unit(data, plan.unit("c"), plan, "here")
    other = plan_of({"a": IDS}, candidate_threshold=0.05)
    with pytest.raises(UnitFileError, match=r"does not fit its rows or plan .*: plan_id, n_candidates$"):
        decode_unit(data, other.unit("a"), other, "here")


def test_rows_that_are_not_planned_are_refused(plan):
    data = encoded(plan, scores(IDS[:3], P_LENS[:3]))
    with pytest.raises(UnitFileError, match="holds other rows than the plan: 3 against 4 planned"):
        decode_unit(data, plan.unit("a"), plan, "here")


def test_no_flipped_byte_changes_a_value_unnoticed(tmp_path, plan):
    root, unit = str(tmp_path), plan.units[0]
    publish(scores(IDS, P_LENS), unit, plan, root, "try")
    file = Path(unit_uri(root, plan.plan_id, "a"))
    data = file.read_bytes()
    whole, n_found = read_unit(root, unit, plan).table, 0
    for i in range(4, len(data) // 2, 7):
        file.write_bytes(data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :])
        try:
            found = read_unit(root, unit, plan).table
        except UnitFileError:
            n_found += 1
            continue
        # An undetected flip (in a page's statistics or the writer's name) did not change a value.
        assert found.equals(whole)
    assert n_found > 100
