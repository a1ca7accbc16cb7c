"""The early exit of a committee of hand-set networks: A looks first, and B at what A does not exclude."""

import numpy as np
import pytest
from pydantic import ValidationError

from scanner.networks.card_file import read_card
from scanner.networks.cascade import Cascade, scores_of_exit
from scanner.networks.package import load_scorer
from scanner.networks.prevalence import with_prevalence
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import cascade_card, early_exit, pixel_stages, stack, stamps_of, write_cascade

LIMIT = 0.02


@pytest.fixture
def stages(monkeypatch):
    return pixel_stages(monkeypatch, cascade_card(early_exit=early_exit(LIMIT)), features=True)


def cascade(stages, **changes):
    card, first, committee = stages
    return Cascade(card, first, committee, 0.01, card.early_exit.model_copy(update=changes))


def test_the_other_networks_see_what_the_exit_lets_through(stages):
    _, first, committee = stages
    stamps = stamps_of((9, 9, 2), (0, 9, 9), (9, 0, 9), (9, 8, 9))
    scores = cascade(stages).score(stamps)
    assert (committee.engines["A"].n_rows, committee.engines["B"].n_rows) == (3, 2)
    assert scores.stage.tolist() == [2, 1, 1, 2]
    whole, of_first = committee.score(stamps), first.score(stamps)
    alone = scores_of_exit(early_exit(LIMIT), committee.outputs(stamps, ("A",)))
    assert np.isnan(scores.p_exit).tolist() == [False, True, False, False]
    assert scores.p_exit[[0, 2, 3]].tolist() == alone.p_lens[[0, 2, 3]].tolist()
    expected = [whole.p_lens[0], of_first.p_lens[1], alone.p_lens[2], whole.p_lens[3]]
    assert scores.p_lens.tolist() == np.float32(expected).tolist()
    assert scores.p_lens[2] < LIMIT
    for name, values in (("p_compound", scores.p_compound), ("kinds_given_lens", scores.kinds_given_lens)):
        expected = [getattr(of, name)[row] for row, of in enumerate((whole, of_first, alone, whole))]
        assert values.tolist() == np.array(expected).tolist()
    assert scores.subclass == [of.subclass[row] for row, of in enumerate((whole, of_first, alone, whole))]
    assert np.isnan(scores.p_networks["A"]).tolist() == [False, True, False, False]
    assert np.isnan(scores.p_networks["B"]).tolist() == [False, True, True, False]
    assert scores.p_networks["A"][2] == whole.p_networks["A"][2]
    assert np.isnan(scores.disagreement).tolist() == [False, True, True, False]
    assert scores.features[[0, 3]].tolist() == whole.features[[0, 3]].tolist() == [[9, 2], [8, 9]]
    assert np.isnan(scores.features[[1, 2]]).all()


@pytest.mark.parametrize("pixels", [[(0, 9, 9)], [(9, 0, 9)], [(9, 0, 9), (0, 9, 9)]])
def test_rows_may_all_be_excluded(stages, pixels):
    scores = cascade(stages).score(stamps_of(*pixels))
    assert set(scores.stage.tolist()) == {1}
    assert stages[2].engines["B"].n_rows == 0
    assert np.isnan(scores.p_exit).tolist() == [light < 5 for light, *_ in pixels]


@pytest.mark.parametrize(("pixels", "n_runs"), [((0, 9, 9), 0), ((9, 0, 9), 1)])
def test_networks_that_no_row_reaches_are_not_run(stages, monkeypatch, pixels, n_runs):
    """An engine takes as long for no row as for a full batch."""
    asked, outputs = [], stages[2].outputs
    monkeypatch.setattr(stages[2], "outputs", lambda seen, names: asked.append(names) or outputs(seen, names))
    cascade(stages).score(stamps_of(pixels))
    assert asked == [("A",)] * n_runs


def test_a_score_at_the_limit_passes(stages):
    stamps = stamps_of((9, 4, 9))
    limit = float(scores_of_exit(early_exit(LIMIT), stages[2].outputs(stamps, ("A",))).p_lens[0])
    above = float(np.nextafter(np.float32(limit), np.float32(1)))
    assert [cascade(stages, exclude_below=of).score(stamps).stage.tolist() for of in (limit, above)] == [[2], [1]]


def test_another_precision_has_a_lower_limit(stages):
    lower = cascade(stages).rounded(stages[2], margin=0.5)
    odds = LIMIT / (1 - LIMIT) * np.exp(-0.5)
    assert lower.early_exit.exclude_below == pytest.approx(odds / (1 + odds), rel=1e-12)
    assert cascade(stages).rounded(stages[2]).early_exit.exclude_below == pytest.approx(LIMIT, rel=1e-12)
    assert Cascade(*stages, 0.01).rounded(stages[2], margin=0.5).early_exit is None


def test_a_package_keeps_its_early_exit(tmp_path):
    written = write_cascade(tmp_path / "pack", early_exit=early_exit(LIMIT))
    assert read_card(tmp_path / "pack") == written
    scorer = load_scorer(tmp_path / "pack")
    assert scorer.early_exit == early_exit(LIMIT)
    # The committee must see every candidate.
    assert load_scorer(tmp_path / "pack", candidate_threshold=0.015).early_exit.exclude_below == 0.015
    assert load_scorer(tmp_path / "pack", candidate_threshold=0.5).early_exit.exclude_below == LIMIT
    write_cascade(tmp_path / "without")
    assert "early_exit" not in (tmp_path / "without" / "card.json").read_text()
    assert load_scorer(tmp_path / "without").early_exit is None


def test_what_decides_the_exit_is_in_the_digest():
    exits = (None, early_exit(LIMIT), early_exit(0.03), early_exit(LIMIT, combiner=stack(("A",), biases=(0.0, 0.1, 0.0, 0.0))))
    exits += (early_exit(LIMIT, network="B", combiner=stack(("B",))),)
    assert len({cascade_card(early_exit=of).sha256 for of in exits}) == 5
    measured = early_exit(LIMIT, metrics={"natural_lenses_lost": 0.1})
    assert cascade_card(early_exit=measured).sha256 == cascade_card(early_exit=early_exit(LIMIT)).sha256
    assert cascade_card(early_exit=measured).first_stage_card.early_exit is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "B"}, "must combine B alone"),
        ({"network": "C", "combiner": stack(("C",))}, r"one of at least two networks of the committee, \['A', 'B'\], got C"),
        ({"network": "light", "combiner": stack(("light",))}, "got light"),
        ({"combiner": stack(("A",), 1)}, "must read 3 logit margins, got 1"),
        ({"combiner": stack(("A",), prevalence=0.02)}, "must assume the prevalence of p_lens, 0.01, got 0.02"),
        ({"exclude_below": 1.0}, "less than 1"),
    ],
)
def test_an_exit_that_does_not_fit_is_refused(changes, message):
    with pytest.raises((ValidationError, ValueError), match=message):
        cascade_card(early_exit=early_exit(**{"exclude_below": LIMIT, **changes}))


def test_an_exit_needs_a_first_stage():
    given = cascade_card(early_exit=early_exit(LIMIT)).model_dump()
    with pytest.raises(ValidationError, match="needs a first stage"):
        type(cascade_card()).model_validate({**given, "first": None})


def test_another_prevalence_excludes_the_same_rows(tmp_path, rng):
    write_cascade(tmp_path / "pack", early_exit=early_exit(0.01))
    given = {band: rng.normal(0, 3, (12, 100, 100)).astype(np.float32) for band in MER_10.grids}
    scorer = load_scorer(tmp_path / "pack")
    scorer.exclude_below = 0.0
    limit = float(np.median(scorer.score(given).p_exit))
    write_cascade(tmp_path / "pack", 1e-6, early_exit(limit))
    with_prevalence(tmp_path / "pack", tmp_path / "moved", "moved", 0.2, None)
    before, after = (load_scorer(tmp_path / name).score(given) for name in ("pack", "moved"))
    assert after.stage.tolist() == before.stage.tolist()
    assert set(before.stage.tolist()) == {1, 2}
    assert (after.p_exit > before.p_exit).all()
