import numpy as np
import pytest

from scanner.networks.full_batches import full_batches


@pytest.mark.parametrize(("n", "sizes"), [(0, [0]), (1, [1]), (8, [8]), (19, [8, 8, 3])])
def test_full_batches_hold_each_input_once_then_zeros(n, sizes):
    inputs = np.random.default_rng(0).random((n, 2, 3, 3), dtype=np.float32)
    batches = list(full_batches(inputs, 8))
    assert [batch.shape for batch in batches] == [(8, 2, 3, 3)] * len(sizes)
    assert np.array_equal(np.concatenate(batches)[:n], inputs)
    assert not np.concatenate(batches)[n:].any()
    assert n < 8 or np.shares_memory(batches[0], inputs)
