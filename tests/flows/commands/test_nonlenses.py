"""The sample of non-lenses goes onto the card as it is when it is written, and into no folder of another ensemble."""

import pyarrow as pa
import pytest

from flows.commands import nonlenses
from infra.progress import no_progress
from scanner.catalogue.outcomes import SCORED
from scanner.networks.card_file import read_card, write_card
from scanner.networks.nonlens_sample import read_sample
from simulation import object_blocks
from simulation.products.dataset import per_object
from tests.scanner.ensembles import SPECS, add_metric, write_test_package
from training.errors import TrainingError


def sample(package, out=None):
    return nonlenses.sample_nonlenses(str(package), 2, 1, None, out and str(out), 1, no_progress)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return the folder of an ensemble, whose card another command changes while the non-lenses are scored."""
    write_test_package(tmp_path / "mine", SPECS[:1])

    def scores(*_):
        add_metric(tmp_path / "mine")
        return pa.table({"status": [SCORED, SCORED], "p_lens": pa.array([0.25, 0.75], pa.float32())})

    monkeypatch.setattr(nonlenses, "score_simulated", scores)
    return tmp_path / "mine"


@pytest.mark.parametrize("out", [None, "copy"])
def test_metrics_written_meanwhile_stay(package, tmp_path, out):
    folder = package if out is None else tmp_path / out
    sample(package, out and folder)
    card = read_card(folder)
    assert card.metrics["of_another_command"] == 0.5
    assert read_sample(folder, card).p_lens.tolist() == [0.75]


def test_another_ensemble_is_not_overwritten(package, tmp_path):
    other = write_test_package(tmp_path / "other", SPECS[1:2])
    with pytest.raises(TrainingError, match="other: holds the card of another ensemble than test"):
        sample(package, tmp_path / "other")
    assert read_card(tmp_path / "other") == other
    assert "of_another_command" not in read_card(package).metrics


def test_non_lenses_of_the_calibration_are_refused(package):
    card = read_card(package)
    told = (per_object(object_blocks.nonlenses(9, 1, card.geometry)),)
    write_card(package, card.model_copy(update={"training_data": card.training_data.model_copy(update={"simulations": told})}))
    with pytest.raises(TrainingError, match="seed must be one that test was not trained or calibrated with, got 1"):
        sample(package)
