"""Figures of map checks set by hand; all checks pass."""

from training.evaluation.map_measures import MethodCheck

FIGURES = {
    "n": 12,
    "n_curves": 6,
    "hits": 1.0,
    "hits_of_others": 0.1,
    "hits_of_middle": 0.2,
    "hits_error": 0.05,
    "hits_at_random": 0.02,
    "hits_randomised": 0.25,
    "hits_randomised_of_others": 0.15,
    "hits_randomised_error": 0.1,
    "empty": 0.03,
    "mass": 0.9,
    "mass_at_random": 0.04,
    "correlation_randomised": 0.06,
    "correlation_others": 0.11,
    "correlation_noise": 0.8,
    "insertion_auc": 0.95,
    "insertion_auc_others": 0.4,
    "insertion_auc_error": 0.02,
    "insertion_auc_random": 0.5,
    "deletion_auc": 0.05,
    "deletion_auc_others": 0.6,
    "deletion_auc_error": 0.02,
    "deletion_auc_random": 0.55,
}


def check_of(network="light", method="grad_cam", **changes):
    return MethodCheck(network=network, method=method, **{**FIGURES, **changes})
