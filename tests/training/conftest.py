import pytest
import torch

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.vocabulary.geometry import CHALLENGE
from tests.training.shards import write_shards
from training.dataset import prepare_dataset


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Use one thread: two threads on a busy core wait for each other ten times longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shards_uri(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), 120)


@pytest.fixture(scope="session")
def dataset(shards_uri, tmp_path_factory):
    return prepare_dataset(shards_uri, tmp_path_factory.mktemp("data"), PAPER_NETWORKS, CHALLENGE.name)
