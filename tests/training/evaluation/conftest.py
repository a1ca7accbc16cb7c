import numpy as np
import pytest

from tests.training.evaluation.known_scores import PREVALENCE, known_tables
from training.evaluation.evaluate import evaluate_scores


@pytest.fixture(scope="session")
def tables():
    return known_tables()


@pytest.fixture(scope="session")
def evaluation(tables):
    """Evaluate with ten times fewer resamples: no test depends on the details of bootstrap intervals."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.evaluation.metrics.N_BOOTSTRAP", 100)
        return evaluate_scores(*tables, PREVALENCE, np.random.default_rng(0))
