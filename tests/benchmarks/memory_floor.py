"""The time that the memory of this machine needs at least to bring a row's pixels from a file to the networks."""

import numpy as np

from scanner.networks.network_card import NetworkCard
from scanner.vocabulary.geometry import Stamps
from tests.benchmarks.rates import Runs, core_seconds_of_runs

N_COPIED = 2**26
"""Numbers that are copied to measure the rate: 256 MB, many times the caches."""


def memory_floor_runs(mosaic_bytes_per_row: float, stamps: Stamps, networks: list[NetworkCard], rounds: int) -> Runs:
    """Return the rate of copies on one core, and the time per row if nothing but memory took time.

    Every pixel of a mosaic is read from the system's cache and written to the rows in memory; a stamp is read from the rows and
    written, read again, and written as the inputs of the networks.
    """
    source, target = np.ones(N_COPIED, np.float32), np.zeros(N_COPIED, np.float32)
    bytes_per_s = [2 * source.nbytes / seconds for seconds in core_seconds_of_runs(lambda: np.copyto(target, source), rounds)]
    stamp = sum(images[0].nbytes for images in stamps.values())
    inputs = sum(4 * len(channels) * field**2 for channels, field in {(of.channels, of.field_pixels) for of in networks})
    moved = 2 * mosaic_bytes_per_row + 3 * stamp + inputs
    return {
        "copy_gb_per_s": [rate / 1e9 for rate in bytes_per_s],
        "ms_memory_floor_flagship": [1e3 * moved / rate for rate in bytes_per_s],
    }
