"""Tests of the curves: what is drawn is what was measured."""

import numpy as np
import pytest

from scanner.networks.locate import SHIPPED_DIR
from tests.training.reproduction.made import OURS
from training.evaluation.metrics import auroc
from training.reproduction.curves import (
    learning_figure,
    read_history,
    reliability_figure,
    roc_figure,
    selection_figure,
    tsne_figure,
)
from training.tsne import TsneGrid


@pytest.mark.parametrize("quantity", ["accuracy", "loss"])
def test_learning_is_drawn_with_the_kept_epoch(quantity):
    history = read_history(SHIPPED_DIR / OURS)
    figure = learning_figure(history, quantity)
    assert [axis.get_title() for axis in figure.axes] == [*history]
    panel, records = figure.axes[5], history["OU-66"]
    train, validation, dot = (line.get_ydata() for line in panel.get_lines())
    assert list(train) == [getattr(record, f"train_{quantity}") for record in records]
    kept = min(records, key=lambda record: record.calibrated_loss)
    assert kept.validation_loss > min(record.validation_loss for record in records)
    assert list(dot) == [getattr(kept, f"validation_{quantity}")]
    assert dot[0] in list(validation)


def test_a_package_without_history_has_none(tmp_path):
    assert read_history(tmp_path) == {}


def test_the_area_below_the_roc_is_the_auroc(sample):
    (panel,) = roc_figure(sample, [OURS]).axes
    is_used = np.isin(sample.kinds, ("nonlens", "single"))
    for line, (name, p) in zip(panel.get_lines(), sample.outputs(OURS).items(), strict=False):
        area = auroc(p[is_used], sample.is_lens[is_used])
        assert line.get_label() == f"{name} {area:.3f}"
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(area, abs=0.01)


def test_the_embedding_shows_each_object_in_its_colour():
    positions = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    is_lens = np.array([True, False, True])
    grid = TsneGrid(np.zeros((3, 2)), positions, np.zeros((100, 100)))
    points = tsne_figure({OURS: grid}, is_lens).axes[0].collections[0]
    drawn = {
        tuple(place): tuple(colour[:3]) for place, colour in zip(points.get_offsets(), points.get_facecolors(), strict=True)
    }
    assert drawn[1.0, 2.0] == drawn[5.0, 6.0] != drawn[3.0, 4.0]
    assert drawn[1.0, 2.0][2] > drawn[1.0, 2.0][0], "lenses are blue"


def test_the_selection_is_drawn_at_its_threshold(results):
    at = "5% false positives"
    figure = selection_figure(results.selection, ["paper", "own"], at)
    for panel, data in zip(figure.axes, ("paper", "own"), strict=True):
        chosen = [s for s in results.selection if (s.data, s.at) == (data, at)]
        labels = [tick.get_text() for tick in panel.get_yticklabels()]
        assert labels == [s.ensemble if s.score == "ensemble" else f"{s.ensemble}: {s.score}" for s in chosen]
        drawn = panel.containers[0].lines[0].get_xdata()
        assert list(drawn) == [s.matched["compound_arc"].difference.value for s in chosen]
        rows = panel.containers[0].lines[0].get_ydata()
        assert all(np.diff(rows) < 0), "the first score is at the top, beside its label"


def test_reliability_shows_bins_as_given_and_recalibrated(results):
    found = results.calibration["own"][OURS]
    (panel,) = reliability_figure({"made": found}).axes
    for drawn, reliability in zip(panel.containers, (found.as_given, found.recalibrated), strict=True):
        assert list(drawn.lines[0].get_ydata()) == [b.compound.value for b in reliability.bins]
        assert f"error {reliability.error.value:.3f}" in drawn.get_label()
