"""Loops are compiled at their first call and may be cached, because they call no loops of other files."""

import subprocess
import sys

import numpy as np
import pytest

from infra.numba_loops import native
from scanner.files import fits_checksums
from scanner.preprocess import banded, regridding, scaling_kernels, sky
from scanner.sources import stamps

FILES = (banded, fits_checksums, regridding, scaling_kernels, sky)
"""Modules whose loops are checked; `stamps` is not among them, because it calls loops of `regridding` from outside its own."""


def dispatchers(module):
    return [value for value in vars(module).values() if hasattr(value, "py_func")]


@pytest.mark.parametrize("module", FILES)
def test_compiled_loops_call_only_loops_of_their_own_file(module):
    """A cached function is not rebuilt when another file changes."""
    assert {function.py_func.__module__ for function in dispatchers(module)} == {module.__name__}


def test_stamp_loops_call_no_loops_of_other_files():
    own = [function for function in dispatchers(stamps) if function.py_func.__module__ == stamps.__name__]
    assert len(own) == 3
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
