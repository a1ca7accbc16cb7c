import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, recall_score, roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanner.networks.combiner import MeanCombiner
from tests.training.evaluation.known_margins import drawn
from training.combiners import _tsne_grid, best_stack, can_compare, compare_combiners, fit_combiner
from training.evaluation.calibrate import fit_stack, fit_tied_stack


def test_a_tied_stack_is_the_regression_on_the_mean():
    margins, kinds, _ = drawn(2000)
    tied = fit_tied_stack(margins, kinds)
    alone = fit_stack({"mean": (margins["a"] + margins["b"]) / 2}, kinds)
    expected = alone.probabilities({"mean": (margins["a"] + margins["b"]) / 2})
    assert tied.probabilities(margins) == pytest.approx(expected, abs=1e-9)
    assert tied.networks == ("a", "b")


def test_extreme_margins_are_clipped_before_the_mean():
    margins, kinds, _ = drawn(2000)
    wide = {"a": 15 * margins["a"], "b": 4 * margins["b"]}
    assert (np.abs(wide["a"]) > 20).any()
    mean = (np.clip(wide["a"], -20, 20) + np.clip(wide["b"], -20, 20)) / 2
    expected = fit_stack({"mean": mean}, kinds).probabilities({"mean": mean})
    assert fit_tied_stack(wide, kinds).probabilities(wide) == pytest.approx(expected, abs=1e-9)


def test_networks_of_different_classes_cannot_be_averaged():
    margins, kinds, _ = drawn(100)
    with pytest.raises(ValueError, match=r"equally many classes.*\[2, 3\]"):
        fit_tied_stack({"a": margins["a"], "b": np.hstack([margins["b"]] * 2)}, kinds)


@pytest.fixture(scope="module")
def compared():
    """Compare combiners on a known model; t-SNE, which is slow, gets few of the objects."""
    margins, kinds, posterior = drawn(1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.combiners.MAX_TSNE_OBJECTS", 200)
        found = compare_combiners(margins, kinds, np.random.default_rng(0))
    assert [c.combiner for c in found] == ["mean", "stack", "neighbours", "tsne_grid"]
    return {c.combiner: c for c in found}, margins, kinds, posterior


def test_the_stack_wins_if_networks_need_weights(compared):
    """The two margins of the known model separate different kinds; the mean loses this information."""
    found, _, kinds, posterior = compared
    is_lens, p_lens = kinds > 0, 1 - posterior[:, 0]
    assert found["stack"].log_loss == pytest.approx(log_loss(is_lens, p_lens), abs=0.02)
    assert found["stack"].log_loss < found["mean"].log_loss
    assert best_stack(tuple(found.values())) == "stack"
    # Only luck beats the posterior; combiners that use both networks come close to the posterior.
    best = roc_auc_score(is_lens, p_lens)
    assert max(c.auroc for c in found.values()) < best + 0.005
    assert min(found["stack"].auroc, found["neighbours"].auroc) > best - 0.015
    assert found["mean"].auroc > best - 0.05
    # There are two hundred objects in ten thousand cells: most others lie among empty cells and get the overall share.
    assert found["tsne_grid"].auroc > 0.75


def test_figures_are_measured_on_held_out_parts(compared):
    """Compare with scikit-learn's cross-validation of the same models on the same fifths."""
    found, margins, kinds, _ = compared
    parts = np.random.default_rng(0).permutation(np.arange(1000) % 5)
    both = np.concatenate([margins["a"], margins["b"]], axis=1)
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    is_lens = kinds > 0

    def held_out(model, x, y):
        return cross_val_predict(model, x, y, cv=PredefinedSplit(parts), method="predict_proba")

    expected = {
        "stack": 1 - held_out(regression, both, kinds)[:, 0],
        "mean": 1 - held_out(regression, both.mean(axis=1, keepdims=True), kinds)[:, 0],
        "neighbours": (50 * held_out(KNeighborsClassifier(50), both, is_lens)[:, 1] + 1) / 52,
    }
    for name, p in expected.items():
        assert found[name].log_loss == pytest.approx(log_loss(is_lens, p), abs=1e-4)
        assert found[name].auroc == pytest.approx(roc_auc_score(is_lens, p), abs=1e-4)
        before_the_eleventh = p > np.sort(p[~is_lens])[-11]
        assert found[name].tpr_at_10_false_positives == pytest.approx(recall_score(is_lens, before_the_eleventh), abs=2e-3)


def test_the_grid_knows_every_kind_of_a_sorted_data_set(monkeypatch):
    monkeypatch.setattr("training.combiners.MAX_TSNE_OBJECTS", 200)
    margins, kinds, _ = drawn(1000)
    order = np.argsort(kinds, kind="stable")
    p = _tsne_grid({name: of[order] for name, of in margins.items()}, kinds[order])(margins)
    assert roc_auc_score(kinds > 0, p) > 0.75
    # A cell of lenses alone is no certain lens.
    assert (p.min(), p.max()) == pytest.approx((0.01, 0.99))


def test_the_mean_wins_if_networks_are_alike():
    """With sixty noisy copies and few objects, separate weights are only fitted to noise."""
    rng = np.random.default_rng(1)
    kinds = np.arange(160) % 4
    signal = np.where(kinds > 0, 1.0, -1.0)
    margins = {f"n{i}": (signal + rng.normal(0, 8.0, 160))[:, None] for i in range(60)}
    assert best_stack(compare_combiners(margins, kinds, np.random.default_rng(0))) == "mean"


def test_a_certainly_wrong_score_keeps_figures_finite():
    """Fits without the one non-lens of large margins give it a probability of exactly 1."""
    kinds = np.arange(100) % 4
    margins = {"a": np.where(kinds[:, None] == np.arange(1, 4), 1.0, -1.0)}
    margins["a"][0] = 20.0
    losses = [c.log_loss for c in compare_combiners(margins, kinds, np.random.default_rng(0))]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(("n", "name", "n_figures"), [(19, None, 0), (20, "stack", 0), (79, "stack", 0), (80, "mean", 12)])
def test_the_number_of_objects_decides_the_combiner(n, name, n_figures):
    """A regression needs five objects of each kind, a comparison of combiners twenty."""
    rng = np.random.default_rng(2)
    kinds = np.arange(n) % 4
    margins = {f"n{i}": (np.where(kinds > 0, 1.0, -1.0) + rng.normal(0, 8.0, n))[:, None] for i in range(30)}
    fitted = fit_combiner(margins, kinds)
    assert (fitted.name, len(fitted.figures)) == (name, n_figures)
    assert fitted.combiner.networks == tuple(margins)
    expected = {"stack": fit_stack, "mean": fit_tied_stack}
    if name is None:
        assert isinstance(fitted.combiner, MeanCombiner)
    else:
        assert fitted.combiner == expected[name](margins, kinds)
    if n_figures:
        losses = {stack: fitted.figures[f"combiner_{stack}_log_loss"] for stack in expected}
        assert losses["mean"] < losses["stack"]


def test_few_objects_cannot_be_compared():
    assert can_compare(np.arange(80) % 4)
    assert not can_compare(np.arange(79) % 4)
