import numpy as np
import pytest
import torch

from scanner.networks.architectures import PAPER_NETWORKS
from training.batches import BatchSource, random_symmetries

SPECS = {spec.name: spec for spec in PAPER_NETWORKS}


def test_bands_reach_the_network_in_its_order(dataset):
    for name, picked in {"OU-66": [0, 1, 2, 3], "OU-JYH": [0, 1, 2], "OU-H": [2], "OU-Y": [1]}.items():
        inputs, labels = next(BatchSource(dataset, SPECS[name], 5).in_order(np.arange(3, 20)))
        assert np.array_equal(inputs.numpy(), dataset.inputs[66].pixels[3:8][:, picked].astype(np.float32))
        assert np.array_equal(labels.numpy(), dataset.kinds[3:8] > 0)
    inputs, _ = next(BatchSource(dataset, SPECS["OU-VIS"], 5).in_order(np.arange(5)))
    assert np.array_equal(inputs.numpy()[:, 0], dataset.inputs[200].pixels[:5, 0].astype(np.float32))


def test_a_pass_yields_every_row_once(dataset):
    source = BatchSource(dataset, SPECS["OU-J"], 16)
    rows = np.arange(50)
    seen = torch.cat([x for x, _ in source.shuffled(rows, np.random.default_rng(0), augment=False)])
    keys = sorted(float(x.double().sum()) for x in seen)
    assert keys == sorted(float(x) for x in dataset.inputs[66].pixels[:50, 0].astype(np.float64).sum(axis=(1, 2)))


def test_each_generator_gives_another_order_with_the_same_labels(dataset):
    source = BatchSource(dataset, SPECS["OU-J"], 16)
    stamps = {dataset.inputs[66].pixels[row, 0].astype(np.float32).tobytes(): row for row in range(50)}

    def order(seed):
        rows = []
        for inputs, labels in source.shuffled(np.arange(50), np.random.default_rng(seed), augment=False):
            rows += [stamps[x.numpy().tobytes()] for x in inputs]
            assert labels.tolist() == [int(dataset.kinds[row] > 0) for row in rows[-len(labels) :]]
        return rows

    assert sorted(order(0)) == list(range(50))
    assert order(0) == order(0)
    assert len({tuple(order(0)), tuple(order(1)), tuple(range(50))}) == 3


@pytest.mark.parametrize(("n_rows", "world_size", "n"), [(16, 1, 2), (17, 1, 3), (51, 2, 4), (48, 2, 3), (49, 2, 3), (1, 1, 1)])
def test_the_number_of_batches_is_known_beforehand(dataset, n_rows, world_size, n):
    source = BatchSource(dataset, SPECS["OU-J"], 8)
    assert source.n_batches(n_rows, world_size) == n
    for rank in range(world_size):
        rng = np.random.default_rng(0)
        batches = list(source.shuffled(np.arange(n_rows), rng, augment=False, rank=rank, world_size=world_size))
        assert len(batches) == n


def test_workers_share_rows_out_evenly(dataset):
    source = BatchSource(dataset, SPECS["OU-J"], 8)
    parts = [
        [x for x, _ in source.shuffled(np.arange(51), np.random.default_rng(3), augment=False, rank=rank, world_size=2)]
        for rank in range(2)
    ]
    assert [len(x) for x in parts[0]] == [len(x) for x in parts[1]] == [8, 8, 8, 1]
    keys = {float(x.double().sum()) for part in parts for batch in part for x in batch}
    assert len(keys) == 50


def test_all_bands_get_the_same_symmetry_of_the_square():
    base = torch.arange(2 * 9.0).reshape(1, 2, 3, 3)
    turned = random_symmetries(base.repeat(4000, 1, 1, 1), np.random.default_rng(0))
    assert torch.equal(turned[:, 1] - turned[:, 0], torch.full((4000, 3, 3), 9.0))
    kinds, counts = torch.unique(turned[:, 0].flatten(1), dim=0, return_counts=True)
    expected = {tuple(np.rot90(f, k).ravel()) for f in (base[0, 0].numpy(), base[0, 0].numpy().T) for k in range(4)}
    assert {tuple(kind) for kind in kinds.tolist()} == expected
    # Each count is binomial: 500 +- 21.
    assert counts.min() > 400
    assert counts.max() < 600


def test_augmentation_does_not_depend_on_the_class(dataset):
    """Random draws do not depend on the labels: turning one class only teaches a network the PSF."""
    source = BatchSource(dataset, SPECS["OU-J"], 64)
    batches = source.shuffled(np.arange(120), np.random.default_rng(5), augment=True)
    plain = source.shuffled(np.arange(120), np.random.default_rng(5), augment=False)
    changed = {0: [], 1: []}
    for (turned, labels), (straight, same) in zip(batches, plain, strict=True):
        if not changed[0]:
            assert torch.equal(labels, same)
        for x, y, label in zip(turned, straight, labels.tolist(), strict=True):
            changed[label].append(not torch.equal(x, y))
        break  # later batches differ: the augmented stream has drawn more
    for label in (0, 1):
        assert np.mean(changed[label]) > 0.6
