"""Margins of packages on shards: those of the networks, row by row."""

import numpy as np
import pytest

from infra.progress import no_progress
from infra.store.storage import read_bytes
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.engines import make_engine
from scanner.networks.package import load_package
from scanner.preprocess.channel import channels
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import decode_shard, encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.kinds import KINDS
from tests.scanner.ensembles import write_test_package
from tests.training.margins import margins_of
from tests.training.shards import write_shards
from training.errors import TrainingError
from training.evaluation.shard_scores import shard_footers
from training.margins import random_half, read_margins

SPEC = NetworkSpec("A", "equivariant_light", channels("sky_asinh", "VIS"))


def test_margins_are_those_of_the_networks(tmp_path):
    write_test_package(tmp_path / "A", (SPEC,), 2, geometry="mer10", name="A")
    (network,) = read_card(tmp_path / "A").networks
    natural, steps = write_shards(tmp_path / "natural", 80), []
    found = read_margins({"A": (tmp_path / "A", network)}, natural, lambda done, total: steps.append((done, total)))
    assert found.by_network["A"].shape == (80, 3)
    assert set(found.kinds) == set(range(len(KINDS)))
    assert steps[-1] == (80, 80)
    shards = [decode_shard(read_bytes(uri)) for uri in shard_footers(natural)]
    kinds = [kind for shard in shards for kind in shard.truth["kind"].to_pylist()]
    assert [KINDS[kind] for kind in found.kinds] == kinds
    ensemble = load_package(tmp_path / "A")
    batches = [batch for shard in shards for batch in shard_batches(shard, np.arange(len(shard.object_ids)), MER_10, 7)]
    alone = np.concatenate([ensemble.logit_margins(batch.stamps)["A"] for batch in batches])
    np.testing.assert_allclose(found.by_network["A"], alone, rtol=1e-4, atol=1e-4)
    turned = network.model_copy(update={"turns": 2})
    of_both = read_margins({"A": (tmp_path / "A", turned)}, natural, no_progress)
    assert not np.allclose(of_both.by_network["A"], alone, atol=1e-4)


def test_margins_come_from_the_asked_engine(tmp_path, monkeypatch):
    """`auto` would take the best engine of the machine."""
    write_test_package(tmp_path / "A", (SPEC,), 2, geometry="mer10", name="A")
    (network,) = read_card(tmp_path / "A").networks
    asked = []

    def made(*given):
        asked.append(given[3])
        return make_engine(*given)

    monkeypatch.setattr("scanner.networks.package.make_engine", made)
    read_margins({"A": (tmp_path / "A", network)}, write_shards(tmp_path / "s", 4), no_progress, "torch")
    assert asked == ["torch"]


def test_shards_are_needed(tmp_path):
    write_test_package(tmp_path / "A", (SPEC,), 2, geometry="mer10", name="A")
    (network,) = read_card(tmp_path / "A").networks
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError):
        read_margins({"A": (tmp_path / "A", network)}, str(tmp_path / "empty"), no_progress)


def test_kinds_are_needed(tmp_path):
    write_test_package(tmp_path / "A", (SPEC,), 2, geometry="mer10", name="A")
    (network,) = read_card(tmp_path / "A").networks
    with pytest.raises(TrainingError, match=r"shard-00000\.parquet: kind must be one of .*None"):
        read_margins({"A": (tmp_path / "A", network)}, write_shards(tmp_path / "s", 4, kinds=(None,)), no_progress)


@pytest.mark.parametrize("spoilt", [0.0, np.nan])
def test_every_object_must_be_usable(tmp_path, spoilt):
    """Without one object, margins would belong to other objects' kinds."""
    write_test_package(tmp_path / "A", (SPEC,), 2, geometry="mer10", name="A")
    (network,) = read_card(tmp_path / "A").networks
    stamps = {band: np.ones((3, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in MER_10.grids.items()}
    stamps["VIS"][:, 0, 0] = 2
    stamps["VIS"][1] = spoilt
    shard = shard_table(np.arange(3), stamps, {"kind": ["nonlens", "single", "nonlens"]}, MER_10)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "a.parquet").write_bytes(encode_shard(shard))
    with pytest.raises(TrainingError, match=r"a\.parquet: an object cannot be used"):
        read_margins({"A": (tmp_path / "A", network)}, str(tmp_path / "shards"), no_progress)


def test_rows_and_networks_are_chosen_together():
    margins = margins_of(np.random.default_rng(0), 10)
    lenses = margins.of(("b",)).rows(margins.is_lens)
    assert list(lenses.by_network) == ["b"]
    assert np.array_equal(lenses.by_network["b"], margins.by_network["b"][10:])
    assert lenses.is_lens.all()
    assert len(lenses.kinds) == 30


def test_further_objects_are_non_lenses_behind_the_others():
    rng = np.random.default_rng(0)
    margins = margins_of(rng, 3)
    more = {name: rng.normal(size=(2, 3)) for name in reversed(margins.by_network)}
    found = margins.with_nonlenses(more)
    assert found.kinds.tolist() == [*margins.kinds.tolist(), 0, 0]
    assert found.kinds.dtype == margins.kinds.dtype
    assert list(found.by_network) == list(margins.by_network)
    for name, values in found.by_network.items():
        assert np.array_equal(values[:-2], margins.by_network[name])
        assert np.array_equal(values[-2:], more[name])


def test_further_objects_need_margins_of_every_network():
    margins = margins_of(np.random.default_rng(0), 3)
    first, *others = margins.by_network
    with pytest.raises(KeyError):
        margins.with_nonlenses({first: np.zeros((2, 3))})
    with pytest.raises(ValueError, match="unpack"):
        margins.with_nonlenses({first: np.zeros((2, 3)), **{name: np.zeros((1, 3)) for name in others}})


def test_half_of_the_objects_is_chosen_at_random():
    chosen = random_half(1001)
    assert chosen.sum() == 501
    assert np.array_equal(chosen, random_half(1001))
    # The order of the objects does not matter: about half of any run of them is chosen.
    assert 30 < chosen[:100].sum() < 70
