"""Ranks by brute force, and the purity of the list down to each row."""

import numpy as np
import pytest

from scanner.catalogue.columns import RANK_COLUMNS
from scanner.catalogue.ranking import with_purity, with_rank
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.scanner.catalogue_parts import scores

PURITY = read_card(SHIPPED_DIR / "mer3-sim").purity_table


@pytest.fixture
def table():
    """Return rows of three nights in any order, with equal and missing scores."""
    rng = np.random.default_rng(8)
    ids = rng.permutation(300).tolist()
    # Among them is 0, which lies below all cuts of the evaluation.
    p_lens = [None if rng.random() < 0.1 else float(np.float32(rng.integers(0, 40) / 40)) for _ in ids]
    return scores(ids, p_lens, night=[f"2026-11-2{n}" for n in rng.integers(0, 3, len(ids))])


def ranked(rows):
    """Return the rank of each row, by counting the rows of its night that are better."""
    keys = [(row["night"], -row["p_lens"], row["object_id"]) for row in rows if row["p_lens"] is not None]
    return [
        None
        if row["p_lens"] is None
        else 1 + sum(k[0] == row["night"] and k[1:] < (-row["p_lens"], row["object_id"]) for k in keys)
        for row in rows
    ]


def test_ranks_begin_in_each_night_and_rows_stay_in_place(table):
    found = with_purity(with_rank(table), PURITY)
    assert found.drop_columns([column.name for column in RANK_COLUMNS]).equals(table, check_metadata=True)
    assert found["rank"].to_pylist() == ranked(table.to_pylist())
    coded = table.set_column(table.schema.get_field_index("night"), "night", table["night"].dictionary_encode())
    assert with_purity(with_rank(coded), None)["rank"].equals(found["rank"])


def test_a_table_without_nights_is_one_list(table):
    rows = [row | {"night": ""} for row in table.to_pylist()]
    assert with_purity(with_rank(table.drop_columns(["night"])), PURITY)["rank"].to_pylist() == ranked(rows)


def test_the_purity_is_that_of_the_cut_at_the_row(table):
    found = with_purity(with_rank(table), PURITY)
    for row in found.to_pylist():
        names = ("expected_purity", "expected_purity_low", "expected_purity_high")
        if row["p_lens"] is None or row["p_lens"] < 0.001:
            assert {row[name] for name in names} == {None}
        else:
            expected = [float(value) for value in PURITY.at(np.array(row["p_lens"]))]
            assert [row[name] for name in names] == pytest.approx(expected, rel=1e-6)


def test_without_a_table_the_purity_is_null(table):
    found = with_purity(with_rank(table), None)
    assert {found[column.name].null_count for column in RANK_COLUMNS[1:]} == {300}
    assert with_purity(with_rank(table.slice(0, 0)), PURITY).num_rows == 0
