"""Compares arcsinh with numpy in float64; `test_channels` tests the other kernels."""

import numpy as np
import pytest

from scanner.preprocess.scaling_kernels import arcsinh


def test_arcsinh_is_accurate_for_numbers_of_any_size():
    numbers = np.concatenate([np.linspace(0, 300, 20001), np.geomspace(1e-20, 1e18, 20001)]).astype(np.float32)
    for x in (numbers, -numbers):
        got = np.array([arcsinh(value) for value in x])
        assert np.abs(got - np.arcsinh(x.astype(np.float64)))[np.abs(x) < 300].max() < 6e-7
        assert got == pytest.approx(np.arcsinh(x.astype(np.float64)), rel=2e-7, abs=6e-7)


def test_nan_stays_nan_and_huge_values_stay_large():
    assert np.isnan(arcsinh(np.float32(np.nan)))
    assert arcsinh(np.float32(np.inf)) > 40
    assert arcsinh(np.float32(-1e30)) < -40
