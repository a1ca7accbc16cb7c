"""Figures of the independent simulator on scores set by hand, and a run with the default ensemble."""

import numpy as np
import pytest

from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package
from tests.benchmarks.out_of_domain import figures, in_domain, markdown, scores
from tests.independent.scenes import LENSES, OTHERS
from tests.independent.sets import IndependentSet, independent_set


def test_figures_by_counting():
    """Two rings among 140 non-lenses score 0.9 and five spirals 0.5: one may exceed the threshold of 1 %, seven that of 5 %."""
    classes = np.repeat(np.array([*LENSES, *OTHERS]), 20)
    p = np.zeros(len(classes))
    p[np.flatnonzero(classes == "ring")[:2]] = [0.9, 0.95]
    p[np.flatnonzero(classes == "spiral")[:5]] = 0.5
    p[np.flatnonzero(classes == "merger")[:1]] = 0.4
    p[np.flatnonzero(classes == "single")] = np.linspace(0.31, 0.5, 20)
    p[np.flatnonzero(classes == "compound")] = [0.92] * 5 + [0.45] * 15
    found = figures(p, IndependentSet({}, classes))
    assert found["single lenses at 1%"].startswith("0.00 (")
    assert found["compound lenses at 1%"].startswith("0.25 (")
    assert found["compound lenses at 5%"].startswith("1.00 (")
    assert found["single lenses at 5%"].startswith("0.50 (")
    assert found["ring above the threshold of 5%"].startswith("0.10 (")
    assert found["spiral above the threshold of 5%"].startswith("0.25 (")
    assert found["merger above the threshold of 5%"].startswith("0.00 (")


def test_figures_in_domain_are_those_of_the_evaluation(tmp_path):
    found = in_domain(SHIPPED_DIR / "mer3-sim")
    text = (SHIPPED_DIR / "mer3-sim" / "EVALUATION.md").read_text()
    value, low, high = (float(word.strip("()-")) for word in found["single lenses at 5%"].replace("-", " ").split())
    (row,) = [line for line in text.splitlines() if line.startswith("| kind | single |")]
    assert [
        round(float(word), 2) for word in row.split("|")[5].replace("(", "").replace(")", "").replace("to", "").split()
    ] == [
        value,
        low,
        high,
    ]
    assert in_domain(tmp_path) == {}


def test_scores_are_those_of_the_ensemble_and_fill_the_table():
    objects = independent_set(2, 3)
    ensemble = load_package(SHIPPED_DIR / "mer3-sim", "torch")
    p = scores(ensemble, objects)
    assert p == pytest.approx(ensemble.score(objects.stamps).p_lens, rel=1e-5)
    text = markdown({"a": ({"AUROC": "0.9"}, figures(p, objects))}, 2, "abc")
    assert "| AUROC | 0.9 | " in text
    assert "| single lenses at 5% | - | " in text
