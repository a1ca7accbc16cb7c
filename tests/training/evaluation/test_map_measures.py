"""Tests of the figures of map checks, set by hand."""

import pytest
from pydantic import ValidationError

from tests.training.evaluation.hand_checks import FIGURES, check_of
from training.evaluation.map_measures import METHODS, CheckSize, MapChecks, MethodCheck


def test_figures_that_pass_have_no_failed_check():
    assert check_of().failed == ()


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"hits_of_others": 0.95}, "pointing"),
        ({"hits_of_middle": 0.95}, "pointing"),
        ({"hits_of_others": 0.0, "hits_of_middle": 0.0, "hits_error": 0.6}, "pointing"),
        ({"hits_of_others": 1.0, "hits_of_middle": 0.0, "hits_error": 0.0}, "pointing"),
        ({"hits_of_others": 1 - 1 / 12, "hits_of_middle": 0.0, "hits_error": 0.0}, "pointing"),
        ({"hits_randomised": 0.9, "hits_randomised_of_others": 0.3}, "untrained pointing"),
        ({"correlation_randomised": 0.3}, "untrained ranks"),
        ({"insertion_auc_others": 0.99}, "insertion"),
        ({"insertion_auc_error": 0.9}, "insertion"),
        ({"deletion_auc_others": 0.01}, "deletion"),
    ],
)
def test_failed_checks_are_named(change, failed):
    assert check_of(**change).failed == (failed,)


@pytest.mark.parametrize(
    "change",
    [
        {"hits_randomised": 0.9, "hits_randomised_of_others": 0.3, "hits_randomised_error": 0.4},
        {"hits_randomised": 0.9, "hits_randomised_of_others": 0.9, "hits_randomised_error": 0.0},
        {"correlation_randomised": -0.9},
        {"hits_of_others": 1 - 3 / 12, "hits_of_middle": 0.0, "hits_error": 0.0},
    ],
)
def test_differences_within_chance_pass(change):
    assert check_of(**change).failed == ()


def test_a_card_keeps_the_figures():
    checks = tuple(check_of(network, method, hits=0.1 * i) for network in ("A", "B") for i, method in enumerate(METHODS, 3))
    metrics = MapChecks(n_bright_lenses=12, checks=checks).metrics()
    assert metrics["B"]["maps_occlusion_hits"] == pytest.approx(0.5)
    assert set(metrics["A"]) == {f"maps_{method}_{name}" for method in METHODS for name in FIGURES}
    assert (*MethodCheck.of_metrics("A", metrics["A"]), *MethodCheck.of_metrics("B", metrics["B"])) == checks


def test_figures_of_agreement_are_kept_if_there_are_any():
    check = check_of(correlation_networks=0.7, correlation_networks_others=0.2)
    assert check.metrics()["maps_grad_cam_correlation_networks"] == 0.7
    assert MethodCheck.of_metrics("light", check.metrics()) == [check]


def test_incomplete_sets_of_figures_are_left_out():
    """A card that an earlier version wrote may lack figures."""
    metrics = check_of().metrics() | check_of(method="occlusion").metrics()
    del metrics["maps_occlusion_hits_of_middle"]
    assert MethodCheck.of_metrics("light", metrics) == [check_of()]
    assert MethodCheck.of_metrics("light", {"maps_grad_cam_hits": 1.0, "auroc": 0.9}) == []


def test_a_third_of_the_objects_is_occluded():
    assert [CheckSize.of(n).n_occluded for n in (200, 50, 2)] == [64, 16, 2]
    # Maps, maps with noise, those of 3 untrained networks, and 3 methods.
    assert CheckSize().n_steps_a_network == 8
    with pytest.raises(ValidationError):
        CheckSize(n_objects=1)
