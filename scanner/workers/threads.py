"""Numbers of units, threads and bytes of memory that a scan worker uses at once."""

import os
from collections.abc import Sequence

IN_FLIGHT = 2
"""Number of units that a worker holds: it scores one while it reads the next."""
KEPT_BYTES = 2**28
"""Bytes of freed memory that a worker keeps for its next batch."""


def threads_of(workers: int) -> int:
    """Return the number of threads of each worker.

    The requested workers decide, not the units that are left: the number of threads changes the last digit of a score.
    """
    return max(1, (os.cpu_count() or 1) // workers)


def threads_on_nodes(cpus: Sequence[float], workers: int) -> int:
    """Return the number of threads of each worker on a cluster whose nodes have these CPUs; the requested workers decide.

    No worker gets more than the largest node has; one on a smaller node uses at most the cores of its own machine.
    """
    return max(1, min(int(sum(cpus)) // workers, int(max(cpus, default=1))))


def thread_settings(threads: int) -> dict[str, str]:
    """Return environment variables that limit threads and memory pools; they must be set before a library starts threads.

    Threads wait without spinning: on a machine that runs other programs too, a spinning thread takes the core from the thread
    that it waits for. OpenBLAS, which has a setting of its own, else spins for 2^26 cycles after each product of matrices.
    glibc would give every reading thread a memory pool of its own and never free it: two shared pools halve the memory of a
    worker. Batches reuse the memory of earlier batches: new pages from the system cost a twentieth of a scan.
    """
    pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    kept = {name: str(KEPT_BYTES) for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")}
    passive = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}
    return {**pools, **kept, **passive, "MALLOC_ARENA_MAX": "2"}
