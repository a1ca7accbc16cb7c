import pytest

from tests.training.reproduction.made import FLAGSHIP, OURS, made_results, made_sample


@pytest.fixture(scope="session")
def few_resamples():
    """Make bootstrap intervals ten times faster: no test depends on their details."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.evaluation.metrics.N_BOOTSTRAP", 10)
        yield


@pytest.fixture(scope="session")
def sample():
    return made_sample(OURS, FLAGSHIP)


@pytest.fixture(scope="session")
def results(few_resamples):
    return made_results()
