"""Nights whose scores are calibrated by construction pass, and nights of other objects do not."""

import numpy as np
import pyarrow as pa
import pytest

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.nonlens_sample import NonLensTail
from scanner.purity import ValueWithInterval
from scanner.review.yields.night import NightScores, expected_lists
from tests.benchmarks.natural_night import Night, draw_night, guarantee, held, judge, weights_of
from tests.benchmarks.natural_objects import Scored, order, specs
from tests.training.evaluation.known_scores import PREVALENCE, known_tables
from training.evaluation.evaluate import evaluate_scores

N_LENSES, N_OTHERS, N_NIGHT = 2000, 200_000, 20_000
"""Sizes of the strata and of a night; a night as large as its stratum would have its chance twice."""


def scores(rng, n, *, of_lenses, higher=0.0):
    """Return p_lens as `known_tables` draws it: logits N(2, 2) for lenses and N(-2, 2) for others, at their prevalence."""
    logit = rng.normal(2.0 if of_lenses else -2.0, 2.0, n) + np.log(PREVALENCE / (1 - PREVALENCE)) + higher
    return np.float32(1 / (1 + np.exp(-logit)))


def table_of(p_lens, kinds=("nonlens",)):
    return pa.table({"kind": [kinds[i % len(kinds)] for i in range(len(p_lens))], "p_lens": p_lens})


@pytest.fixture(scope="module")
def card():
    """Return a card with the cuts of an evaluation of such scores."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.evaluation.metrics.N_BOOTSTRAP", 5)
        cuts = evaluate_scores(*known_tables(), PREVALENCE, 0, own_cuts=(0.02,)).cuts
    card = read_card(SHIPPED_DIR / "mer3-sim")
    changed = {"assumed_prevalence": PREVALENCE, "cuts": cuts, "combiner": card.combiner.assuming(PREVALENCE, 0.02)}
    return card.model_copy(update={**changed, "default_cut": 0.02})


def lines_of(card, rng, higher=0.0, n_others=N_OTHERS, n_night=N_NIGHT):
    """Return the report on scored objects, the night's non-lenses scoring higher than those of the sample."""
    scored = Scored(
        nonlenses=table_of(scores(rng, n_others, of_lenses=False, higher=higher)),
        lenses=table_of(scores(rng, N_LENSES, of_lenses=True), ("single", "compound_arc")),
        calibration=table_of(scores(rng, n_others, of_lenses=False)),
    )
    return list(judge(scored, card, 0.5, rng, n_night))


@pytest.mark.slow
def test_calibrated_nights_pass(card, rng):
    lines = lines_of(card, rng)
    rows = [line for line in lines if line.startswith("| ") and line.endswith(" |") and "passes" not in line]
    verdicts = {line.split(" | ")[0].strip("| "): line.split(" | ")[-1].strip("| ") for line in rows if "---" not in line}
    assert verdicts.pop("0.1") == verdicts.pop("0.2") == verdicts.pop("0.5") == "yes"
    assert len(verdicts) == 7
    assert set(verdicts.values()) == {"yes"}
    assert lines[0] == "## 50% of the lenses are compound\n"
    assert any(line.endswith("passes: yes.") for line in lines)


def test_a_night_of_other_objects_fails(card, rng):
    lines = lines_of(card, rng, 2.0, 20_000, 2000)
    for name in ("length of the list", "prevalence of the night"):
        (row,) = [line for line in lines if line.startswith(f"| {name} |")]
        assert row.endswith("| no |")


def test_what_is_said_is_compared_with_the_truth(card):
    """Three of four rows above the cut are lenses, of ten lenses; the other 9 990 rows are far below."""
    p = np.float32([0.5] * 4 + [1e-4] * 9996)
    night = Night(p, np.arange(10_000) < 3)
    night.is_lens[5:12] = True
    said = expected_lists(NightScores("x", p, 0.02, 0.02, "x", "0" * 64, card.purity_table), (0.5,))
    of = said.lists[0]

    def said_to_hold(n_lenses, n_contaminants, n_foreseen):
        low_to_high = [ValueWithInterval(value=low, low=low, high=high) for low, high in (n_lenses, n_contaminants, n_foreseen)]
        content = of.at_stated.model_copy(update={"n_lenses": low_to_high[0], "n_contaminants": low_to_high[1]})
        changed = of.model_copy(update={"at_stated": content, "at_estimated": content, "n_foreseen": low_to_high[2]})
        found = held(night, said.model_copy(update={"lists": (changed,)}), card.purity_table)
        stated = ("lenses, at the stated prevalence", "contaminants, at the stated prevalence", "length of the list")
        return [found[name][0.5] for name in stated]

    assert said_to_hold((3, 4), (0, 1), (4, 4)) == [True] * 3
    assert said_to_hold((3.1, 4), (0, 0.9), (1, 3)) == said_to_hold((0, 2), (2, 3), (5, 9)) == [False] * 3


def test_nights_are_drawn_from_both_strata(rng):
    weights = weights_of(["single", "double_ring", "compound_arc", "single"], 0.02)
    assert weights.tolist() == pytest.approx([0.49, 0.01, 0.01, 0.49])
    lenses = np.float32([[0.5, 0.1], [0.6, 0.2], [0.7, 0.3], [0.8, 0.4]])
    others = np.float32([[0.1, 0.01], [0.2, 0.02]])
    nights = [draw_night(others, lenses, weights, 5000, 0.01, rng) for _ in range(40)]
    drawn = np.concatenate([night.p_lens[night.is_lens] for night in nights])
    assert len(drawn) == pytest.approx(40 * 50, abs=4 * np.sqrt(40 * 50))
    assert np.isin(drawn, np.float32([0.6, 0.7])).mean() == pytest.approx(0.02, abs=0.015)
    assert all(np.allclose(night.p_compound[~night.is_lens], night.p_lens[~night.is_lens] / 10) for night in nights)
    assert draw_night(others, lenses * [1, np.nan], weights, 50, 0.5, rng).p_compound is None
    assert {len(night.p_lens) - int(night.is_lens.sum()) for night in nights} == {5000}
    assert set(np.concatenate([night.p_lens[~night.is_lens] for night in nights]).tolist()) == set(
        np.float32([0.1, 0.2]).tolist()
    )


def test_nights_without_a_list_count_as_pure():
    tail = NonLensTail.of(np.linspace(0, 0.5, 999, dtype=np.float32), 0.0)
    one = Night(np.float32([0.9] * 8 + [0.1] * 12), np.arange(20) < 6)
    none = Night(np.float32([0.1] * 20), np.zeros(20, bool))
    found = guarantee([one, none], [tail, tail], 0.1)
    assert (found.n_lists, found.false_share, found.n_lenses) == (1, pytest.approx(0.25 / 2), 6.0)


def test_any_beginning_holds_equal_parts():
    of = specs("mer10")
    blocks = order(of)
    assert len(set(blocks)) == len(blocks) == sum(-(-spec.n // 200) for spec in of.values())
    first = blocks[: len(blocks) // 10]
    for name, spec in of.items():
        numbers = sorted(number for block, number in first if block == name)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) == pytest.approx(spec.n / 200 / 10, abs=1)
