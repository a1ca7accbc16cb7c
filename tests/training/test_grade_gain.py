"""The gain of grades, against counts by hand and figures of scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.grade_gain import separation


def test_objects_to_inspect_are_counted():
    """Two of four lenses are above five of ten objects, three above seven of ten."""
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    is_lens = np.array([0, 1, 0, 0, 1, 0, 1, 0, 0, 1], bool)
    found = separation(p, is_lens)
    assert found.inspected_per_lens["0.5"].value == pytest.approx(5 / 2)
    assert found.inspected_per_lens["0.75"].value == pytest.approx(7 / 3)
    for measured in found.inspected_per_lens.values():
        assert measured.low < measured.value < measured.high


def test_the_other_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    is_lens = rng.random(2000) < 0.3
    p = rng.normal(size=2000) + is_lens
    found = separation(p, is_lens)
    assert found.auroc == pytest.approx(roc_auc_score(is_lens, p))
    limit = np.sort(p[~is_lens])[::-1][int(0.01 * np.sum(~is_lens))]
    assert found.recall_at_1_percent == pytest.approx(np.mean(p[is_lens] > limit))


@pytest.mark.parametrize("value", [True, False])
def test_objects_of_one_sort_have_no_separation(value):
    assert separation(np.array([0.1, 0.9]), np.full(2, value)) is None
    assert separation(np.zeros(0), np.zeros(0, bool)) is None
