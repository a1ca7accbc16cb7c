"""Bayes' rule by hand: other prior odds multiply every object's odds by one factor."""

import math
from pathlib import Path

import numpy as np
import pytest

from scanner.networks.card_file import read_card, write_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR, folder_for_new
from scanner.networks.package import load_package
from scanner.networks.prevalence import with_prevalence
from scanner.vocabulary.kinds import KINDS
from tests.scanner.cascades import candidate_stage, early_exit, kind_regression, stack, write_cascade
from tests.scanner.ensembles import SPECS, write_test_package

SHIPPED = SHIPPED_DIR / "ou7-sim"


def test_odds_move_by_the_ratio_of_the_prior_odds(tmp_path: Path):
    with_prevalence(SHIPPED, tmp_path / "rare", "rare", 0.002, None)
    with_prevalence(SHIPPED, tmp_path / "common", "common", 0.4, None)
    rare, common = (load_package(tmp_path / name) for name in ("rare", "common"))
    rng = np.random.default_rng(3)
    margins = {name: rng.normal(0, 0.5, (50, 1)) for name in rare.engines}
    p_rare, p_common = (e.card.combiner.combine(margins).p_lens.astype(float) for e in (rare, common))
    factor = (0.4 / 0.6) / (0.002 / 0.998)
    assert p_common / (1 - p_common) == pytest.approx(p_rare / (1 - p_rare) * factor, rel=1e-3)
    assert (rare.card.name, rare.card.assumed_prevalence) == ("rare", 0.002)
    assert [n.sha256 for n in rare.card.networks] == [n.sha256 for n in load_package(SHIPPED).card.networks]
    assert (rare.card.cuts, common.card.purity_table) == ((), None)  # those of the package hold at its own prevalence


def write_calibrated_package(folder: Path, **changes):
    """Write a package whose regression gives each kind its frequency among the fitted objects, whatever the input."""
    fractions = (0.4, 0.4, 0.15, 0.05)
    combiner = SoftmaxStack(
        kind="softmax_stack",
        networks=("OU-H",),
        classes=KINDS,
        clip=20.0,
        centre=(0.0,),
        scale=(1.0,),
        weights=((0.0,),) * 4,
        biases=tuple(math.log(fraction) for fraction in fractions),
        training_fractions=fractions,
        **changes,
    )
    return write_test_package(folder, SPECS[:1], combiner=combiner, assumed_prevalence=changes["prevalence"])


@pytest.mark.parametrize(("asked", "expected"), [(None, 0.05), (0.2, 0.2)])
def test_the_compound_share_of_the_package_is_the_default(tmp_path: Path, asked, expected: float):
    given = write_calibrated_package(tmp_path / "given", prevalence=0.01, compound_share=0.05)
    restated = with_prevalence(tmp_path / "given", tmp_path / "restated", "restated", 0.3, asked)
    assert read_card(tmp_path / "restated") == restated
    for card, p_lens, share in ((given, 0.01, 0.05), (restated, 0.3, expected)):
        found = card.combiner.combine({"OU-H": np.zeros((1, 1))})
        assert found.p_lens == pytest.approx(p_lens, rel=1e-5)
        assert found.p_compound == pytest.approx(p_lens * share, rel=1e-5)
    assert (restated.combiner.compound_share, restated.combiner.prevalence) == (expected, 0.3)
    changed = {"name": "restated", "assumed_prevalence": 0.3, "combiner": restated.combiner}
    assert restated == given.model_copy(update=changed)


def test_the_limit_names_the_new_compound_share(tmp_path: Path):
    old, new = (f"p_compound assumes that {percent} of lenses are compound" for percent in ("2.0%", "30.0%"))
    before = read_card(SHIPPED).limits
    unchanged = with_prevalence(SHIPPED, tmp_path / "unchanged", "unchanged", 0.01, None)
    assert unchanged.limits == before
    changed = with_prevalence(SHIPPED, tmp_path / "changed", "changed", 0.01, 0.3)
    assert changed.limits == tuple(limit.replace(old, new) for limit in before) != before
    again = with_prevalence(tmp_path / "changed", tmp_path / "again", "again", 0.01, 0.02)
    assert again.limits == before


def test_a_package_without_a_compound_share_has_none_afterwards(tmp_path: Path):
    write_calibrated_package(tmp_path / "given", prevalence=0.01)
    restated = with_prevalence(tmp_path / "given", tmp_path / "restated", "restated", 0.3, None)
    assert restated.combiner.compound_share is None
    assert restated.combiner.combine({"OU-H": np.zeros((1, 1))}).p_compound == pytest.approx(0.3 * 0.2 / 0.6, rel=1e-5)


@pytest.mark.parametrize(
    ("of_stage", "asked", "expected"), [(None, 0.2, 0.2), (0.05, None, 0.05), (0.05, 0.2, 0.2), (None, None, 0.4)]
)
def test_all_stages_get_the_compound_share_that_is_asked_for(tmp_path: Path, of_stage, asked, expected: float):
    """Each stage gives each kind its frequency: without a share, 0.2 of 0.5 are compound."""
    log_shares = tuple(map(math.log, (0.6, 0.2, 0.2)))
    flat = {"biases": tuple(map(math.log, (0.5, 0.3, 0.1, 0.1))), "weights": ((0.0,) * 3,) * 4, "compound_share": of_stage}
    exits = early_exit(0.02, combiner=stack(("A",), **flat))
    of_both = stack(("A", "B"), training_fractions=(0.5, 0.3, 0.1, 0.1), compound_share=of_stage)
    kinds = candidate_stage(combiner=kind_regression(weights=((0.0,) * 4,) * 3, biases=log_shares, compound_share=of_stage))
    write_cascade(
        tmp_path / "given", 0.005, exits, combiner=stack(("light",), **flat), committee=of_both, candidate_stage=kinds
    )
    restated = with_prevalence(tmp_path / "given", tmp_path / "restated", "restated", 0.3, asked)
    for stage, name in ((restated.first, "light"), (restated.early_exit, "A")):
        found = stage.combiner.combine({name: np.zeros((1, 3))})
        assert found.p_lens == pytest.approx(0.3, rel=1e-5)
        assert found.p_compound == pytest.approx(0.3 * expected, rel=1e-5)
    fitted = restated.candidate_stage.combiner.fitted_probabilities(dict.fromkeys("ABK", np.zeros((1, 3))))
    told = restated.candidate_stage.combiner.at_assumed_share(fitted)
    assert told[0, 1:].sum() == pytest.approx(expected, rel=1e-5)


def test_a_cut_of_the_card_keeps_the_same_objects(tmp_path: Path):
    given = write_calibrated_package(tmp_path / "given", prevalence=0.01)
    write_card(tmp_path / "given", given.model_copy(update={"default_cut": 0.02, "deep_cut": 0.005}))
    restated = with_prevalence(tmp_path / "given", tmp_path / "restated", "restated", 0.3, None)
    # Odds of 2/98 at a prevalence of 1/99 are a likelihood ratio of 99 * 2/98.
    for cut, before in ((restated.candidate_threshold, 0.02), (restated.threshold("deep"), 0.005)):
        odds = 99 * before / (1 - before) * 3 / 7
        assert cut == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_outside_0_to_1_is_refused(tmp_path: Path, fraction: float):
    message = f"must lie between 0 and 1, both excluded, got {fraction:g}$"
    with pytest.raises(PackageError, match=f"^prevalence {message}"):
        with_prevalence(SHIPPED, tmp_path / "x", "x", fraction, None)
    with pytest.raises(PackageError, match=f"^compound share {message}"):
        with_prevalence(SHIPPED, tmp_path / "x", "x", 0.5, fraction)


def test_an_uncalibrated_package_is_refused(tmp_path: Path):
    write_test_package(tmp_path / "mean")
    with pytest.raises(PackageError, match="not calibrated"):
        with_prevalence(tmp_path / "mean", tmp_path / "x", "x", 0.01, None)


@pytest.mark.parametrize(("name", "message"), [("ou7-sim", "shipped"), ("../up", "name is")])
def test_a_new_package_needs_a_free_name(tmp_path: Path, name: str, message: str):
    with pytest.raises(PackageError, match=message):
        folder_for_new(name, tmp_path)


def test_the_default_threshold_is_twice_the_prevalence(tmp_path: Path):
    uncalibrated = write_test_package(tmp_path / "mean")
    rare = with_prevalence(SHIPPED, tmp_path / "rare", "rare", 0.002, None)
    common = with_prevalence(SHIPPED, tmp_path / "common", "common", 0.4, None)
    assert [card.candidate_threshold for card in (uncalibrated, rare, common)] == [0.5, 0.004, 0.5]
