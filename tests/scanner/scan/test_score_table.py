import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.catalogue.outcomes import check_outcomes
from scanner.networks.ensemble import EnsembleScores
from scanner.scan.errors import ScanError
from scanner.scan.score_table import ScoreTable
from scanner.sources.registration_notes import BatchNotes
from scanner.vocabulary.rejections import RejectCode, Rejection
from scanner.vocabulary.stages import FIRST
from tests.scanner.feature_references import drawn_reference


def scores(p):
    p = np.array(p, np.float32)
    return EnsembleScores({"A": p}, p * 0, p, None, None)


def put(table, places, p, *, again=False, precision="float32"):
    method = table.put_rescored if again else table.put
    shift = np.where(np.array(places) % 2, 0.25, np.nan).astype(np.float32)
    method(np.array(places, np.int64), BatchNotes([()] * len(places), shift), scores(p), precision)


@given(st.permutations(range(9)), st.integers(1, 9), st.sets(st.integers(0, 8)))
def test_rows_end_in_input_order(order, size, better):
    table = ScoreTable(["A"])
    for start in range(0, 9, size):
        places = list(order[start : start + size])
        put(table, [p for p in places if p % 3], [p / 10 for p in places if p % 3], precision="bfloat16")
        table.reject([(p, Rejection(RejectCode.BLANK, f"row {p}")) for p in places if p % 3 == 0])
    chosen = [p for p in better if p % 3]
    put(table, chosen, [p / 10 + 0.05 for p in chosen], again=True)
    table = table.table()
    check_outcomes(table)
    for place, row in enumerate(table.to_pylist()):
        if place % 3 == 0:
            assert (row["status"], row["detail"], row["p_lens"], row["precision"]) == (
                "rejected:blank",
                f"row {place}",
                None,
                "",
            )
            assert row["bands_shift_arcsec"] is None
        else:
            assert row["p_lens"] == pytest.approx(place / 10 + 0.05 * (place in better))
            assert row["bands_shift_arcsec"] == (0.25 if place % 2 else None)
            assert row["precision"] == ("float32" if place in better else "bfloat16")


def test_batches_of_two_precisions_keep_theirs():
    """A sweep that no longer saves time ends within a unit."""
    table = ScoreTable(["A"])
    for place, precision in enumerate(("bfloat16", "float32", "bfloat16")):
        put(table, [place], [place / 10], precision=precision)
    assert table.table()["precision"].to_pylist() == ["bfloat16", "float32", "bfloat16"]


@pytest.mark.parametrize("places", [[0, 1, 1], [0, 2], [1, 2], [-1, 0]])
def test_a_missing_or_repeated_row_is_an_error(places):
    table = ScoreTable(["A"])
    put(table, places, [0.5] * len(places))
    with pytest.raises(ScanError, match="must be scored or rejected once, got the rows"):
        table.table()


def test_only_what_the_committee_gives_may_be_missing():
    """The first stage scored both rows; the committee saw neither."""
    nan = np.full(2, np.nan, np.float32)

    def table_of(p_lens):
        table = ScoreTable(["A"])
        found = EnsembleScores({"A": nan}, nan, np.float32(p_lens), None, None, stage=np.full(2, FIRST, np.int8))
        table.put(np.arange(2), BatchNotes([()] * 2, nan), found, "float32")
        return table.table()

    table = table_of([0.1, 0.2])
    assert table["p_lens"].to_numpy().tolist() == np.float32([0.1, 0.2]).tolist()
    assert table["p_A"].null_count == table["disagreement"].null_count == 2
    with pytest.raises(ScanError, match="p_lens: a network must give one probability"):
        table_of([0.1, np.nan])


def test_no_rows_give_an_empty_table():
    assert ScoreTable(["A"]).table().num_rows == 0


def test_embeddings_are_null_where_there_are_no_features(rng):
    reference = drawn_reference(5)
    table = ScoreTable(["A"], reference)
    features = rng.normal(size=(3, 5)).astype(np.float32)
    features[1] = np.nan
    p = np.float32([0.1, 0.2, 0.3])
    found = EnsembleScores({"A": p}, p * 0, p, None, None, features=features)
    table.put(np.array([3, 0, 2]), BatchNotes([()] * 3, np.full(3, np.nan, np.float32)), found, "float32")
    table.reject([(1, Rejection(RejectCode.BLANK, "zero"))])
    put(table, [4], [0.5])
    rows = table.table().to_pylist()
    expected = reference.embeddings(features[[2, 0]])
    assert [row["embedding"] for row in rows] == [None, None, expected[0].tolist(), expected[1].tolist(), None]
    anomalies = reference.anomalies(expected).tolist()
    assert [row["anomaly"] for row in rows] == [None, None, *anomalies, None]
    assert "embedding" not in ScoreTable(["A"]).table().column_names
