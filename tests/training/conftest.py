import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from scanner.networks.architectures import PAPER_NETWORKS
from scanner.networks.card_file import read_card
from scanner.networks.package import load_package
from scanner.sources.shards import decode_shard
from scanner.vocabulary.geometry import CHALLENGE
from tests.servers import by_one_process
from tests.training.shards import write_shards
from tests.training.tiny_build import BUILD_CONFIG, N_BOOTSTRAP
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
def built_once(common_folder):
    """Return the folder of shards and of an ensemble that the first of the test processes builds from them.

    The shards have wrong labels for two of three test objects, so that the test figures differ from other splits'.
    """
    folder = common_folder / "built"
    with by_one_process(folder), pytest.MonkeyPatch.context() as patch:
        if not (folder / "progress.json").exists():
            ids = np.arange(1000, 1120)
            of_test = ids[hashed_fraction(ids) < BUILD_CONFIG.test_fraction]
            shards = write_shards(folder / "shards", 120, mislabelled=of_test[np.arange(len(of_test)) % 3 > 0])
            patch.setattr("training.evaluation.metrics.N_BOOTSTRAP", N_BOOTSTRAP)
            progress = []
            build_ensemble(BUILD_CONFIG, shards, folder / "out", "tiny", lambda *step: progress.append(step))
            (folder / "progress.json").write_text(json.dumps(progress))
    return folder


@pytest.fixture(scope="session")
def mislabelled_uri(built_once):
    return str(built_once / "shards")


@pytest.fixture(scope="session")
def built(built_once, tmp_path_factory):
    """Return a folder with the ensemble and what training leaves, the ensemble's card, and the progress of training."""
    out = tmp_path_factory.mktemp("built") / "out"
    shutil.copytree(built_once / "out", out)
    return out, read_card(out / "tiny"), json.loads((built_once / "progress.json").read_text())


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
