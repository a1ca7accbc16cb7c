"""Sweeps of a cascade's committee: which rows could be candidates, and how far rounding may move them."""

import numpy as np
import pytest

from scanner.networks.ensemble import EnsembleScores
from scanner.networks.log_odds import log_odds
from scanner.networks.package import load_package, load_scorer
from scanner.scan.committee_sweep import CommitteeSweep, make_committee_sweep, margin_of_committee
from scanner.scan.sweep import SAFETY, SweepError, largest_error, synthetic_stamps
from scanner.vocabulary.geometry import MER_10
from tests.scanner.cascades import candidate_stage, early_exit, lens_regression, stack, write_cascade
from tests.scanner.rounding import load_rounded

FROM = 0.01
"""The least `p_lens` of the committee that is corrected."""
MARGIN = np.log(2)
TWICE = np.float32(0.019801980198)
"""The log-odds of 0.01 and ln 2 more."""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs") / "pack"
    stage = candidate_stage(lens=lens_regression(from_p_lens=FROM))
    return write_and_return(folder, early_exit=early_exit(0.02), candidate_stage=stage)


def write_and_return(folder, **made):
    write_cascade(folder, 1e-5, **made)
    return folder


def sweep_at(cascade, threshold, margin=MARGIN):
    return CommitteeSweep(cascade, "bfloat16", threshold, margin)


def scores_of(p_committee, p_corrected=None, *, stage=None, p_exit=None, p_lens=None):
    """Return scores of rows that the committee saw, unless `stage` says otherwise."""
    p = np.float32(p_committee)
    return EnsembleScores(
        {},
        p * 0,
        p if p_lens is None else np.float32(p_lens),
        None,
        None,
        stage=np.full(len(p), 2, np.int8) if stage is None else np.array(stage, np.int8),
        p_exit=None if p_exit is None else np.float32(p_exit),
        p_committee=None if p_corrected is None else p,
        p_corrected=None if p_corrected is None else np.float32(p_corrected),
    )


def test_only_rows_that_a_rounded_network_saw_could_be_candidates(package):
    sweep = sweep_at(load_scorer(package).rounded(load_package(package)), 0.1)
    scores = scores_of([0.9, 0.9, 0.9], stage=[1, 2, 1], p_exit=[np.nan, 0.5, 0.5])
    assert sweep.saw(scores).tolist() == [False, True, True]
    assert sweep.could_be_candidates(np.array([1, 2, 3]), scores).tolist() == [False, True, True]
    without_exit = scores_of([0.9, 0.9], stage=[1, 2])
    assert sweep.saw(without_exit).tolist() == [False, True]


def test_without_a_correction_the_score_of_the_committee_decides(package):
    sweep = sweep_at(load_scorer(package).rounded(load_package(package)), 0.02)
    assert sweep.ensemble.corrects_from is None
    scores = scores_of([0.0102, 0.01, 0.0, 0.5])
    assert sweep.could_be_candidates(np.array([1, 2, 256, 4]), scores).tolist() == [True, False, True, True]


@pytest.mark.parametrize("threshold", [0.003, 0.05])
def test_every_candidate_of_exact_scores_could_be_one(package, rng, threshold):
    """Rounding moves both scores by less than the margin, and so may move a row across the limit of the correction."""
    sweep = sweep_at(load_scorer(package), threshold)
    n = 20_000
    exact, corrected = 1 / (1 + np.exp(-rng.uniform(-8, 0, (2, n))))
    final = np.where(exact >= FROM, corrected, exact)
    off = rng.uniform(-0.999, 0.999, (2, n)) * MARGIN
    fast, fast_corrected = 1 / (1 + np.exp(-(log_odds(np.array([exact, corrected])) + off)))
    is_known = log_odds(fast) >= log_odds(np.array(min(FROM, threshold))) - MARGIN
    scores = scores_of(fast, np.where(is_known, fast_corrected, np.nan))
    could_be = sweep.could_be_candidates(np.full(n, 1), scores)
    is_candidate = final >= threshold
    assert is_candidate.sum() > 1000
    assert could_be[is_candidate].all()
    # Rows that lie far from every limit are told apart.
    far = np.abs(log_odds(fast) - log_odds(np.array(FROM))) > MARGIN
    far &= np.abs(log_odds(np.where(fast >= FROM, fast_corrected, fast)) - log_odds(np.array(threshold))) > 2 * MARGIN
    by_committee = far & (fast < FROM) & ~is_known
    assert (could_be[by_committee] == is_candidate[by_committee]).all()
    by_correction = far & (fast >= FROM)
    assert by_correction.sum() > 1000
    assert (could_be[by_correction] == is_candidate[by_correction]).all()


def test_either_score_may_be_final_near_the_limit(package):
    sweep = sweep_at(load_scorer(package), 0.003)
    p = [FROM, TWICE * 0.99, TWICE * 1.01]
    # The rounded network corrects all three, and the exact one may not.
    scores = scores_of(p, [1e-6, 1e-6, 1e-6], p_lens=[1e-6, 1e-6, 1e-6])
    assert sweep.could_be_candidates(np.array([1, 2, 3]), scores).tolist() == [True, True, False]
    # One row in 256 monitors the errors.
    assert sweep.could_be_candidates(np.array([1, 2, 256]), scores).tolist() == [True, True, True]


def test_what_both_scored_is_compared(package):
    sweep = sweep_at(load_scorer(package), 0.5, margin=0.1)
    nan = np.nan
    fast = scores_of([0.5, 0.5, 0.5], [0.3, nan, 0.3], stage=[2, 2, 1], p_exit=[0.2, 0.2, nan], p_lens=[0.3, 0.5, 0.5])
    sweep.check_again(fast, fast)
    # What only one of them scored, or what a network of another stage scored, is not compared.
    other = scores_of([0.5, 0.5, 0.9], [nan, 0.9, 0.3], stage=[2, 2, 2], p_exit=[nan, 0.2, 0.9], p_lens=[0.9, 0.9, 0.9])
    sweep.check_again(fast, other)
    for changed in (
        scores_of([0.5, 0.6, 0.5], [0.3, nan, 0.3], stage=[2, 2, 1], p_exit=[0.2, 0.2, nan]),
        scores_of([0.5, 0.5, 0.5], [0.4, nan, 0.3], stage=[2, 2, 1], p_exit=[0.2, 0.2, nan]),
        scores_of([0.5, 0.5, 0.5], [0.3, nan, 0.3], stage=[2, 2, 1], p_exit=[0.2, 0.3, nan]),
    ):
        with pytest.raises(SweepError, match=r"^bfloat16 is off by 0\.[45]"):
            sweep.check_again(fast, changed)


def test_the_margin_covers_the_exit_and_the_committee(package):
    exact, rounded = load_scorer(package), load_rounded(package)
    few = synthetic_stamps(MER_10, 32)
    of_committee = largest_error(rounded.score(few).p_lens, load_package(package).score(few).p_lens)
    # The exit multiplies the margins of its network by 10, so it rounds more than the committee.
    exact.early_exit = early_exit(0.02, combiner=stack(("A",), scale=(0.1,) * 3))
    margins = [of.logit_margins(few)["A"] for of in (rounded, exact.committee)]
    of_exit = largest_error(*(exact.early_exit.combiner.combine({"A": of}).p_lens for of in margins))
    assert of_exit > of_committee
    assert margin_of_committee(exact, rounded, None, 0.0) == pytest.approx(SAFETY * of_exit, rel=1e-6)
    assert margin_of_committee(exact, rounded, None, 50.0) == 50.0
    # The correction is the last that is measured, and rounds less.
    network = load_rounded(package, candidates=True)
    assert margin_of_committee(exact, rounded, network, 0.0) == pytest.approx(SAFETY * of_exit, rel=1e-6)
    exact.early_exit = None
    assert margin_of_committee(exact, rounded, None, 0.0) == pytest.approx(SAFETY * of_committee, rel=1e-6)


def test_the_margin_covers_the_correction(package):
    exact, rounded = load_scorer(package), load_rounded(package)
    network = load_rounded(package, candidates=True)
    few = synthetic_stamps(MER_10, 32)
    without = margin_of_committee(exact, rounded, None, 0.0)
    of_network = [of.outputs(few).logit_margins for of in (network, exact.correction.ensemble)]
    of_committee = [of.outputs(few).logit_margins for of in (rounded, exact.committee)]
    # A steep correction rounds more than all the rest.
    stage = exact.candidate_network.stage
    exact.candidate_network.stage = stage.model_copy(update={"lens": lens_regression(from_p_lens=FROM, slope=8.0)})
    both = ({**of, **of_last} for of, of_last in zip(of_committee, of_network, strict=True))
    p_lens = [exact.correction.corrected(of).p_lens for of in both]
    expected = SAFETY * largest_error(*p_lens)
    assert expected > 2 * without
    assert margin_of_committee(exact, rounded, network, 0.0) == pytest.approx(expected, rel=1e-6)
    assert margin_of_committee(exact, rounded, None, 0.0) == without


def test_a_network_that_corrects_nothing_is_not_swept(tmp_path):
    folder = write_and_return(tmp_path / "pack", candidate_stage=candidate_stage())
    exact = load_scorer(folder)
    assert exact.candidate_network is not None
    sweep = make_committee_sweep(exact, load_package(folder), None, "bfloat16", 0.3, 0.5)
    assert sweep.ensemble.candidate_network is None
    assert sweep.margin == 0.5


def test_a_sweep_has_its_limits_lowered_by_its_margin(package):
    exact, rounded, network = load_scorer(package), load_rounded(package), load_rounded(package, candidates=True)
    sweep = make_committee_sweep(exact, rounded, network, "bfloat16", 0.3, 0.5)
    assert (sweep.precision, sweep.candidate_threshold) == ("bfloat16", 0.3)
    assert sweep.margin == margin_of_committee(exact, rounded, network, 0.5)
    lowered = sweep.ensemble.early_exit.exclude_below
    assert log_odds(np.array(exact.early_exit.exclude_below)) - log_odds(np.array(lowered)) == pytest.approx(sweep.margin)
    assert sweep.ensemble.committee is rounded
    assert sweep.ensemble.correction.ensemble is network
    with pytest.raises(ValueError, match="corrects p_lens: its sweep needs the network"):
        make_committee_sweep(exact, rounded, None, "bfloat16", 0.3, 0.5)
