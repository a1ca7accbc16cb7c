"""Figures of known scores: by hand and by brute force."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from scanner.pixels.shards import KINDS
from training.errors import TrainingError
from training.evaluate import RATES, evaluate_scores
from training.evaluation_plots import draw_evaluation
from training.evaluation_text import evaluation_markdown

PREVALENCE = 0.01


@pytest.fixture(scope="module")
def tables():
    """Calibrated scores at a prevalence of 0.01, of objects of which half are lenses."""
    rng = np.random.default_rng(5)
    n = 4000
    kinds = np.array(KINDS)[rng.choice(4, n, p=[0.5, 0.3, 0.1, 0.1])]
    is_lens = kinds != "nonlens"
    logit = rng.normal(np.where(is_lens, 2.0, -2.0), 2.0) + np.log(PREVALENCE / (1 - PREVALENCE))
    p = 1 / (1 + np.exp(-logit))
    status = np.where(rng.random(n) < 0.02, "rejected:blank", "scored")
    scored = status == "scored"
    scores = {"p_A": p, "p_lens": p, "p_compound": p * np.where(np.isin(kinds, KINDS[2:]), 0.8, 0.2)}
    truth = {name: np.where(is_lens, rng.uniform(*span, n), np.nan) for name, span in SPANS.items()}
    morphology = np.where(is_lens, "arc", np.where(rng.random(n) < 0.3, "twin", "spiral"))
    return (
        pa.table({"status": status, **{k: pa.array(v, mask=~scored) for k, v in scores.items()}}),
        pa.table({"kind": kinds, "morphology": morphology, **{k: pa.array(v, mask=~is_lens) for k, v in truth.items()}}),
    )


SPANS = {
    "einstein_radius1_arcsec": (0.4, 2.0),
    "source1_mag_vis": (22, 27),
    "source1_vis_minus_h": (0, 3),
    "arc_snr": (10, 120),
    "lens_mag_vis": (17, 22),
    "magnification1": (2, 10),
}


@pytest.fixture(scope="module")
def evaluation(tables):
    return evaluate_scores(*tables, PREVALENCE, np.random.default_rng(0))


def arrays(tables):
    scores, truth = tables
    kept = np.array(scores["status"].to_pylist()) == "scored"
    return {name: scores[name].to_numpy()[kept] for name in ("p_lens", "p_compound")}, {
        name: np.array(truth[name].to_pylist(), dtype=object)[kept] for name in truth.column_names
    }


def test_rejected_rows_are_left_out_and_the_rest_agree_with_scikit_learn(tables, evaluation):
    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    assert sum(evaluation.n_objects.values()) == len(is_lens) < 4000
    assert evaluation.overall["auroc"].value == pytest.approx(roc_auc_score(is_lens, p["p_lens"]))
    assert evaluation.networks["A"] == evaluation.networks["A"]
    compound = np.isin(truth["kind"], KINDS[2:])
    assert evaluation.overall["auroc_compound"].value == pytest.approx(roc_auc_score(compound, p["p_compound"]))
    share = p["p_compound"] / p["p_lens"]
    expected = roc_auc_score(compound[is_lens], share[is_lens])
    assert evaluation.overall["auroc_compound_among_lenses"].value == pytest.approx(expected)


def test_calibrated_scores_have_no_calibration_error(evaluation):
    assert evaluation.overall["calibration_error"].value < 0.03
    assert evaluation.overall["calibration_error_at_prevalence"].value < 0.003


def test_groups_by_brute_force(tables, evaluation):
    p, truth = arrays(tables)
    others = np.sort(p["p_lens"][truth["kind"] == "nonlens"])[::-1]
    found = {(g.property, g.group): g for g in evaluation.groups}
    for i, rate in enumerate(RATES):
        above = p["p_lens"] > others[int(rate * len(others))]
        assert found["kind", "single"].above[i].value == pytest.approx(above[truth["kind"] == "single"].mean())
        twins = (truth["kind"] == "nonlens") & (truth["morphology"] == "twin")
        assert found["look-alike", "twin"].above[i].value == pytest.approx(above[twins].mean())
        radius = np.array([np.nan if r is None else r for r in truth["einstein_radius1_arcsec"]], float)
        assert found["einstein_radius1_arcsec", "0.8 to 1"].above[i].value == pytest.approx(
            above[(radius >= 0.8) & (radius < 1.0)].mean()
        )


def test_purity_and_numbers_of_a_cut_by_bayes(tables, evaluation):
    p, truth = arrays(tables)
    is_lens = truth["kind"] != "nonlens"
    for cut in evaluation.cuts:
        recall, false = (p["p_lens"][is_lens] >= cut.p_lens).mean(), (p["p_lens"][~is_lens] >= cut.p_lens).mean()
        assert cut.recall == pytest.approx(recall)
        assert cut.to_inspect_per_million == pytest.approx(1e4 * recall + 0.99e6 * false)
        assert cut.purity == pytest.approx(1e4 * recall / (1e4 * recall + 0.99e6 * false))


def test_scores_that_look_at_colour_show_it(tables):
    scores, truth = tables
    colour = np.array([np.nan if c is None else c for c in truth["source1_vis_minus_h"].to_pylist()], float)
    p = np.where(np.nan_to_num(colour, nan=9.0) < 1.0, 0.9, 0.5 * scores["p_lens"].to_numpy())
    biased = scores.set_column(2, "p_lens", pa.array(p, mask=np.array(scores["status"].to_pylist()) != "scored"))
    fair, unfair = (
        evaluate_scores(s, truth, PREVALENCE, np.random.default_rng(0)).overall["recall_blue_minus_red"]
        for s in (scores, biased)
    )
    assert fair.low < 0 < fair.high
    assert unfair.low > 0.2


def test_one_class_only_is_refused(tables):
    scores, truth = tables
    lenses = np.array(truth["kind"].to_pylist()) != "nonlens"
    with pytest.raises(TrainingError, match="lenses and non-lenses"):
        evaluate_scores(scores.filter(pa.array(lenses)), truth.filter(pa.array(lenses)), None, np.random.default_rng(0))


def test_people_find_the_figures(tables, evaluation, tmp_path):
    text = evaluation_markdown(evaluation, "test", "random numbers")
    assert f"| AUROC | {evaluation.overall['auroc'].value:.3f} (" in text
    assert "| look-alike | twin |" in text
    p, truth = arrays(tables)
    draw_evaluation(tmp_path, evaluation, {"p_lens": p["p_lens"], "A": p["p_lens"]}, truth["kind"] != "nonlens")
    for name in ("roc.png", "reliability.png", "completeness.png"):
        assert f"({name})" in text
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
