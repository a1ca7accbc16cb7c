"""Purity and numbers of lists, by hand, and against lists drawn from known populations."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.purity import Cut, PurityTable, ValueWithInterval
from training.evaluation.cuts import CUTS


def within(value, low, high):
    return ValueWithInterval(value=value, low=low, high=high)


def cut(p_lens, recall, false_rate, prevalence=0.01, **changes):
    """Return a cut with the purity of its rates, and intervals of a fifth on both sides."""
    n = 1e6 * (prevalence * recall + (1 - prevalence) * false_rate)
    purity = 1e6 * prevalence * recall / n
    content = {
        "p_lens": p_lens,
        "n_false_positives": round(1e4 * false_rate),
        "recall": within(recall, 0.8 * recall, min(1, 1.2 * recall)),
        "purity": within(purity, 0.8 * purity, min(1, 1.2 * purity)),
        "expected_purity": 0.9 * purity,
        "to_inspect_per_million": within(n, 0.8 * n, 1.2 * n),
    }
    return Cut(**content | changes)


TABLE = PurityTable(prevalence=0.01, cuts=(cut(0.02, 0.8, 0.05), cut(0.2, 0.5, 0.002), cut(0.5, 0.4, 0.001)))


def purity(p_lens, table=TABLE):
    return [float(value) for value in table.at(np.array(p_lens))]


def test_a_cut_of_the_table_has_its_own_numbers():
    for known in TABLE.cuts:
        assert purity(known.p_lens) == pytest.approx([known.purity.value, known.purity.low, known.purity.high])
        expected = TABLE.expected(known.p_lens, 2e6)
        assert expected.n_candidates.value == pytest.approx(2 * known.to_inspect_per_million.value)
        assert expected.n_candidates.high == pytest.approx(2 * known.to_inspect_per_million.high)
        assert expected.n_lenses.value == pytest.approx(2e4 * known.recall.value)
        assert expected.n_lenses.low == pytest.approx(2e4 * known.recall.low)


def test_between_cuts_logarithms_are_linear_in_log_odds():
    """Log-odds 0.25 of the way from p = 0.2 (odds 1/4) to p = 0.5 (odds 1): odds 4**-0.75."""
    odds = 4**-0.75
    first, second = (known.purity.value for known in TABLE.cuts[1:])
    assert purity(odds / (1 + odds))[0] == pytest.approx(first**0.75 * second**0.25)


def test_above_the_table_its_highest_cut_counts():
    assert purity(1.0) == purity(0.99) == pytest.approx(purity(0.5))
    assert TABLE.in_words(0.9).endswith(" The highest evaluated cut is 0.5; these are its numbers.")
    assert "evaluated" not in TABLE.in_words(0.1)


def test_below_the_table_nothing_is_known():
    assert np.isnan([purity(0.0), purity(1e-12), purity(0.0199)]).all()
    assert purity(np.float32(0.02)) == pytest.approx(purity(0.02))
    with pytest.raises(ValueError, match=r"at least the lowest evaluated cut, 0\.02, got 0\.01"):
        TABLE.expected(0.01, 1e6)


def test_a_known_natural_recall_is_taken():
    cuts = [cut(0.02, 0.8, 0.05), cut(0.5, 0.4, 0.002)]
    table = PurityTable(prevalence=0.01, cuts=cuts)
    assert (table.knows_natural, table.recall(0.5).value) == (False, 0.4)
    assert table.recall(0.02) == cuts[0].recall
    natural = [cuts[0].model_copy(update={"natural_recall": within(0.7, 0.6, 0.75)})]
    natural.append(cuts[1].model_copy(update={"natural_recall": within(0.2, 0.1, 0.3)}))
    known = PurityTable(prevalence=0.01, cuts=natural)
    assert (known.knows_natural, known.recall(0.5).low, known.recall(0.5).high) == (
        True,
        pytest.approx(0.1),
        pytest.approx(0.3),
    )
    assert 0.2 < known.recall(0.1).value < 0.7
    # What else is foretold stays that of the evaluated mix.
    assert known.expected(0.5, 1e6) == table.expected(0.5, 1e6)
    partly = PurityTable(prevalence=0.01, cuts=(natural[0], cuts[1]))
    assert (partly.knows_natural, partly.recall(0.02).value) == (False, 0.8)
    with pytest.raises(ValueError, match=r"at least the lowest evaluated cut, 0\.02, got 0\.01"):
        known.recall(0.01)


def test_purity_never_falls_with_the_cut_and_keeps_its_limits():
    noisy = PurityTable(prevalence=0.01, cuts=(cut(0.02, 0.8, 0.05), cut(0.2, 0.5, 0.002), cut(0.5, 0.1, 0.002)))
    for table in (
        TABLE,
        noisy,
        read_card(SHIPPED_DIR / "mer3-sim").purity_table,
        read_card(SHIPPED_DIR / "ou7-sim").purity_table,
    ):
        p = np.append(np.logspace(np.log10(table.cuts[0].p_lens), -0.001, 400)[1:], 1)
        value, low, high = table.at(p)
        assert (np.diff([value, low, high]) >= -1e-15).all()
        assert ((low <= value) & (value <= high)).all()
        for at in p[::20]:
            expected = table.expected(at, 1e6)
            assert expected.n_candidates.low <= expected.n_candidates.value <= expected.n_candidates.high
            assert expected.n_lenses.value == pytest.approx(expected.n_candidates.value * expected.purity.value)


def test_without_false_positives_the_purity_is_expected_not_one():
    clean = cut(0.5, 0.4, 0.0, purity=within(1, 0.3, 1), expected_purity=0.8)
    assert purity(0.5, PurityTable(prevalence=0.01, cuts=(clean,))) == pytest.approx([0.8, 0.3, 1])
    modest = clean.model_copy(update={"expected_purity": 0.2})
    assert purity(0.5, PurityTable(prevalence=0.01, cuts=(modest,))) == pytest.approx([0.3, 0.3, 1])
    assert purity(0.9, read_card(SHIPPED_DIR / "mer3-sim").purity_table)[0] < 0.98


def test_a_list_from_the_assumed_population_has_the_foretold_content():
    """Log-odds of both classes are normal: the table knows a few cuts, and the lists between them are counted."""
    rng, n, prevalence = np.random.default_rng(2), 2_000_000, 0.01
    is_lens = rng.random(n) < prevalence
    p = 1 / (1 + np.exp(-rng.normal(np.where(is_lens, 2.0, -2.0), 2.0) - math.log(prevalence / (1 - prevalence))))
    cuts = [cut(at, (p[is_lens] >= at).mean(), (p[~is_lens] >= at).mean()) for at in CUTS]
    table = PurityTable(prevalence=prevalence, cuts=cuts)
    for at in (0.002, 0.005, 0.02, 0.05, 0.2):
        expected, chosen = table.expected(at, n), p >= at
        assert expected.n_candidates.value == pytest.approx(chosen.sum(), rel=0.05)
        assert expected.n_lenses.value == pytest.approx((chosen & is_lens).sum(), rel=0.05)
        assert expected.purity.value == pytest.approx(is_lens[chosen].mean(), rel=0.05)


def test_the_sentence_for_people():
    said = read_card(SHIPPED_DIR / "mer3-sim").purity_table.in_words(0.001)
    assert said == (
        "If one object in 2000 is a lens, about 1.2 % (1.1-1.4 %) of the objects at or above p_lens 0.001 are lenses: about "
        "35 000 candidates per million objects."
    )
    below = read_card(SHIPPED_DIR / "mer3-sim").purity_table.in_words(0.0005)
    assert below == (
        "If one object in 2000 is a lens, less than 1.2 % of the objects at or above p_lens 0.0005 are lenses: more than "
        "35 000 candidates per million objects. The lowest evaluated cut is 0.001, and a lower cut makes the list longer and "
        "less pure."
    )


def test_cuts_without_lenses_are_left_out_and_may_be_all():
    false_alone = cut(0.9, 0.0, 0.001)
    unreached = false_alone.model_copy(update={"p_lens": 0.95, "purity": None, "expected_purity": None})
    assert PurityTable.of((*TABLE.cuts, false_alone, unreached), 0.01) == TABLE
    assert PurityTable.of((unreached,), 0.01) is None
    assert PurityTable.of(TABLE.cuts, None) is None
    with pytest.raises(ValidationError, match="lenses must reach each"):
        PurityTable(prevalence=0.01, cuts=(unreached,))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"p_lens": 1.0}, "less than 1"),
        ({"n_false_positives": -1}, "greater than or equal to 0"),
        ({"recall": within(0.5, 0.6, 0.7)}, r"recall of the cut 0\.2 must have 0 <= low <= value <= high <= 1, got"),
        ({"purity": within(0.5, 0.4, 1.1)}, r"purity of the cut 0\.2 must have"),
        ({"to_inspect_per_million": within(math.nan, 1, 2)}, "to_inspect_per_million of the cut"),
        ({"expected_purity": None}, "must both be there, or neither"),
        ({"expected_purity": math.inf}, "finite"),
    ],
)
def test_impossible_cuts_are_refused(changes, says):
    with pytest.raises(ValidationError, match=says):
        Cut(**cut(0.2, 0.5, 0.002).model_dump() | changes)


def test_cuts_must_rise():
    with pytest.raises(ValidationError, match=r"cuts must rise in p_lens.*\[0\.5, 0\.2\]"):
        PurityTable(prevalence=0.01, cuts=TABLE.cuts[:0:-1])
