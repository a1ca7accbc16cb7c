from pathlib import Path

import numpy as np
import pytest
import torch

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.package import load_package
from scanner.sources.shards import decode_shard
from scanner.vocabulary.geometry import CHALLENGE
from tests.training.shards import write_shards
from tests.training.tiny_build import BUILD_CONFIG
from training.build import build_ensemble, work_folder
from training.dataset import SPLITS, hashed_fraction, open_dataset, prepare_dataset


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


@pytest.fixture(scope="session")
def mislabelled_uri(tmp_path_factory):
    """Write shards with wrong labels for two of three test objects, so that the test figures differ from other splits'."""
    ids = np.arange(1000, 1120)
    of_test = ids[hashed_fraction(ids) < BUILD_CONFIG.test_fraction]
    return write_shards(tmp_path_factory.mktemp("shards"), 120, mislabelled=of_test[np.arange(len(of_test)) % 3 > 0])


@pytest.fixture(scope="session")
def built(mislabelled_uri, tmp_path_factory):
    out = tmp_path_factory.mktemp("built")
    progress = []
    card = build_ensemble(BUILD_CONFIG, mislabelled_uri, out, "tiny", lambda done, total: progress.append((done, total)))
    return out, card, progress


@pytest.fixture(scope="session")
def scored(built, mislabelled_uri):
    """Return scores of the shards as a user's scan gives them, and the true kinds, by split."""
    out, _, _ = built
    ensemble = load_package(out / "tiny")
    scores = [ensemble.score(decode_shard(path.read_bytes()).stamps) for path in sorted(Path(mislabelled_uri).iterdir())]
    dataset = open_dataset(work_folder(out, "tiny") / "data")
    found = {name: np.concatenate([getattr(s, name) for s in scores]) for name in ("p_lens", "p_compound", "subclass")} | {
        name: np.concatenate([s.p_networks[name] for s in scores]) for name in ("OU-H", "OU-66")
    }
    rows = {split: dataset.rows(split, 0.35, 0.35) for split in SPLITS}
    return {
        split: {name: values[chosen] for name, values in (found | {"kinds": dataset.kinds}).items()}
        for split, chosen in rows.items()
    }
