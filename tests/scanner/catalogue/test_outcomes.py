"""Check that a row is scored or rejected, never both, and never with a number that is no number."""

import pytest

from scanner.catalogue.outcomes import OutcomeError, TransientError, candidate_mask, check_outcomes, count_statuses
from scanner.vocabulary.rejections import RejectCode
from tests.scanner.catalogue_parts import scores

IDS = [5, -2, 9, 4]
P_LENS = [0.1, 0.9, None, 0.95]
REJECTED = "rejected:blank"
THIRD_REJECTED = ["scored", "scored", REJECTED, "scored"]
NETWORKS_SCORED = {"p_OU_66": [0.1, 0.1, None, 0.1], "p_OU_200": [0.1, 0.1, None, 0.1]}


def kinds(**changes):
    """Return p_compound and the probabilities of the kinds: rounded, certain, missing, and zero."""
    columns = {
        "p_compound": [0.1 * 0.3, 0.9, None, 0.0],
        "p_single_given_lens": [0.7, 0.0, None, 1.0],
        "p_compound_arc_given_lens": [0.2, 1.0, None, 0.0],
        "p_double_ring_given_lens": [0.1, 0.0, None, 0.0],
    }
    return columns | changes


def test_scored_and_rejected_rows_are_accepted():
    check_outcomes(scores(IDS, P_LENS))
    check_outcomes(scores([], []))
    excluded = {"p_OU_200": [None, 0.75, None, None], "disagreement": [None, 0.25, None, None], "stage": [1, 2, 0, 1]}
    check_outcomes(scores(IDS, P_LENS, **excluded))
    check_outcomes(scores(IDS, P_LENS, **kinds()))


@pytest.mark.parametrize(
    ("p_lens", "changes", "message"),
    [
        (P_LENS, {"status": ["scored", "scored", "rejected:because", "scored"]}, r"^status must be one of .*rejected:because"),
        (P_LENS, {"status": ["scored", "scored", None, "scored"]}, r"^status must be one of .*None"),
        (P_LENS, {"status": ["scored"] * 4}, r"^stage: must be 0 in rejected rows, and only there"),
        (P_LENS, {"stage": [1, 3, 0, 1]}, r"^stage: must be 0, 1 or 2, got "),
        (P_LENS, {"p_OU_66": [None] * 4, "p_OU_200": [None] * 4}, r"^p_OU_66, p_OU_200: one of them at least must not be null"),
        (
            P_LENS,
            {"p_OU_66": [None, 0.25, None, 0.25], "stage": [2, 1, 0, 1]},
            r"^p_OU_66, .*: must not be null in rows of stage 2",
        ),
        (P_LENS, {"p_OU_66": [None, 0.25, None, 0.25]}, r"^disagreement: must be null where a network gave no probability"),
        (
            [0.1, 0.9, None, None],
            {"status": THIRD_REJECTED, "stage": [1, 1, 0, 1], "disagreement": [0.2, 0.2, None, 0.2], **NETWORKS_SCORED},
            r"^p_lens: must not be null in scored rows",
        ),
        (P_LENS, {"status": ["scored"] * 2 + [REJECTED] * 2}, r"^stage: must be 0 in rejected rows"),
        (P_LENS, {"disagreement": [0.25, None, None, 0.25]}, r"^disagreement: must be null where a network gave no"),
        (P_LENS, {"subclass": ["single"] * 4}, r"^subclass: must be empty in rejected rows"),
        (P_LENS, {"precision": ["float32"] * 4}, r"^precision: must be empty in rejected rows"),
        (P_LENS, {"detail": ["", "", None, ""]}, r"^detail: must be an empty string, not null"),
        ([0.1, float("nan"), None, 0.3], {}, r"^p_lens: must be finite or null"),
        (P_LENS, {"ra": [float("inf"), 0.0, 0.0, 0.0]}, r"^ra: must be finite or null"),
        ([0.1, 1.5, None, 0.3], {}, r"^p_lens: a probability must lie in 0-1"),
        (P_LENS, {"p_compound": [-0.1, None, None, None]}, r"^p_compound: a probability must lie in 0-1"),
        (P_LENS, {"p_single_given_lens": [0.7, 1.5, None, 1.0]}, r"^p_single_given_lens: a probability must lie in 0-1"),
        (P_LENS, kinds(p_single_given_lens=[0.7, 0.0, None, 0.9]), r"^p_single_given_lens, .*, p_double_.*: must sum to 1"),
        (P_LENS, kinds(p_compound=[0.031, 0.9, None, 0.0]), r"^p_compound: must be p_lens times the sum of p_compound_arc"),
        (P_LENS, kinds(p_compound=[0.03, 0.9, None, None]), r"^p_single_given_lens: must be null where p_compound is null"),
        (P_LENS, kinds(p_single_given_lens=[None, 0.0, None, 1.0]), r"^p_single_given_lens: must be null where p_compound"),
        (P_LENS, {"p_double_ring_given_lens": [None, None, 0.5, None]}, r"^p_double_ring_given_lens: must be null in rejected"),
    ],
)
def test_a_row_with_an_impossible_outcome_is_refused(p_lens, changes, message):
    with pytest.raises(OutcomeError, match=message):
        check_outcomes(scores(IDS, p_lens, **changes))


def test_a_table_needs_at_least_one_network():
    with pytest.raises(OutcomeError, match="at least one network"):
        check_outcomes(scores(IDS, P_LENS).drop_columns(["p_OU_66", "p_OU_200"]))


@pytest.mark.parametrize("code", [code for code in RejectCode if code.retriable])
def test_a_row_that_may_be_tried_again_is_no_outcome(code):
    statuses, details = ["scored", f"rejected:{code}", f"rejected:{code}", "scored"], ["", "Y: HTTP 503", "H: HTTP 500", ""]
    with pytest.raises(TransientError, match=f"^2 of 4 rows cannot be read now, the first: {code}: Y: HTTP 503$"):
        check_outcomes(scores(IDS, P_LENS, status=statuses, detail=details))


def test_statuses_are_counted_and_sorted():
    table = scores([1, 2, 3, 4], [None, 0.5, None, 0.5], status=["rejected:nonfinite", "scored", REJECTED, "scored"])
    assert list(count_statuses(table).items()) == [(REJECTED, 1), ("rejected:nonfinite", 1), ("scored", 2)]
    assert count_statuses(scores([], [])) == {}


def test_candidates_reach_the_threshold_and_are_scored():
    table = scores([1, 2, 3, 4], [0.5, 0.49, None, 0.75])
    assert candidate_mask(table, 0.5).to_pylist() == [True, False, False, True]
    assert candidate_mask(table, 0.0).to_pylist() == [True, True, False, True]
