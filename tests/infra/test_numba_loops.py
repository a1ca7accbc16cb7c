"""Arithmetic of compiled loops, and their cache: they are compiled at their first call, and call no loops of other files."""

import subprocess
import sys

import numpy as np
import pytest

from infra.numba_loops import compiled_exactly, compiled_fast, compiled_in_order, native
from scanner.files import word_loop
from scanner.preprocess import banded, regridding, scaling_kernels, sky
from scanner.sources import stamps
from simulation.optics import light_kernels, observation, psf
from training import activation_kernels

FILES = (banded, word_loop, light_kernels, activation_kernels, observation, psf, regridding, scaling_kernels, sky)
"""Modules whose loops are checked; `stamps` is not among them, because it calls loops of `regridding` from outside its own."""


def total(values):
    result = np.float32(0)
    for value in values:
        result += value
    return result


def product_and_sum(a, b, c):
    return a * b + c


def ratio(a, b):
    return a / b


@pytest.mark.parametrize("policy", [compiled_exactly, compiled_in_order])
def test_sums_are_in_the_order_written(policy, rng):
    values = rng.normal(size=1001).astype(np.float32)
    backwards = np.ascontiguousarray(values[::-1])
    assert total(values) != total(backwards)
    for some in (values, backwards):
        assert policy(total)(some) == total(some)


def test_exact_loops_fuse_no_product_with_a_sum():
    """A fused product is not rounded before the sum, which would leave the rounding error here."""
    assert compiled_exactly(product_and_sum)(0.1, 0.1, -(0.1 * 0.1)) == 0


@pytest.mark.parametrize("policy", [compiled_exactly, compiled_in_order, compiled_fast])
def test_nan_stays_and_division_by_zero_raises_nothing(policy):
    assert np.isnan(policy(total)(np.array([1, np.nan], np.float32)))
    assert policy(ratio)(1.0, 0.0) == np.inf
    assert np.isnan(policy(ratio)(0.0, 0.0))


def dispatchers(module):
    return [value for value in vars(module).values() if hasattr(value, "py_func")]


@pytest.mark.parametrize("module", FILES)
def test_compiled_loops_call_only_loops_of_their_own_file(module):
    """A cached function is not rebuilt when another file changes."""
    assert {function.py_func.__module__ for function in dispatchers(module)} == {module.__name__}


def test_stamp_loops_call_no_loops_of_other_files():
    own = [function for function in dispatchers(stamps) if function.py_func.__module__ == stamps.__name__]
    assert len(own) == 4
    for function in own:
        assert not {"regrid_window"} & set(function.py_func.__code__.co_names)


def test_nothing_is_compiled_at_import():
    code = """
import sys, scanner.preprocess.network_inputs
names = ("banded", "scaling_kernels", "sky")
values = [value for name in names for value in vars(sys.modules["scanner.preprocess." + name]).values()]
print({len(value.signatures) for value in values if hasattr(value, "signatures")})
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{0}"


def test_only_arrays_that_loops_cannot_read_are_copied():
    plain = np.zeros((2, 3, 3), np.float32)
    assert native(plain) is plain
    assert native(plain.astype(">f4")).dtype == np.float32
    assert native(plain.astype(np.int16)).dtype == np.float32
    assert native(plain.astype(np.float64)).dtype == np.float64
    assert native(plain[:, ::2]).flags.c_contiguous
