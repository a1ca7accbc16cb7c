"""Bayes' rule by hand: other prior odds multiply every object's odds by one factor."""

from pathlib import Path

import numpy as np
import pytest

from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR, folder_for_new
from scanner.networks.package import load_package
from scanner.networks.prevalence import with_prevalence
from tests.scanner.ensembles import write_test_package

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


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_refuses_what_is_no_fraction(tmp_path: Path, prevalence: float):
    with pytest.raises(PackageError, match="between 0 and 1"):
        with_prevalence(SHIPPED, tmp_path / "x", "x", prevalence, None)


def test_refuses_what_is_not_calibrated(tmp_path: Path):
    write_test_package(tmp_path / "mean")
    with pytest.raises(PackageError, match="not calibrated"):
        with_prevalence(tmp_path / "mean", tmp_path / "x", "x", 0.01, None)


@pytest.mark.parametrize(("name", "message"), [("ou7-sim", "shipped"), ("../up", "name is")])
def test_a_new_package_needs_a_free_name(tmp_path: Path, name: str, message: str):
    with pytest.raises(PackageError, match=message):
        folder_for_new(name, tmp_path)


def test_a_candidate_is_twice_as_likely_a_lens_as_any_object(tmp_path: Path):
    uncalibrated = write_test_package(tmp_path / "mean")
    rare = with_prevalence(SHIPPED, tmp_path / "rare", "rare", 0.002, None)
    common = with_prevalence(SHIPPED, tmp_path / "common", "common", 0.4, None)
    assert [card.candidate_threshold for card in (uncalibrated, rare, common)] == [0.5, 0.004, 0.5]
