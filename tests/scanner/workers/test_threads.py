"""The threads of scan workers leave the cores to others while they wait."""

import os
import subprocess
import sys

from scanner.workers.threads import thread_settings, threads_of, threads_on_nodes

CODE = """
import time
import numpy as np

matrix = np.ones((400, 400))
idle = 0.0
for _ in range(10):
    matrix @ matrix
    before = time.process_time()
    time.sleep(0.05)
    idle += time.process_time() - before
print(idle)
"""


def idle_seconds(environment):
    """Return the processor time that a program takes in ten pauses after products of matrices."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_threads_do_not_spin_between_products_of_matrices():
    # With the setting that OpenBLAS has by default, one of two threads spins all the time: 0.5 s.
    assert idle_seconds(thread_settings(2)) < 0.05


def test_a_worker_of_a_cluster_fits_on_a_node():
    assert threads_on_nodes([8.0, 8.0], 1) == 8
    assert threads_on_nodes([16.0, 2.0], 2) == 9
    assert threads_on_nodes([0.0, 0.5], 4) == 1
    assert threads_on_nodes([], 4) == 1


def test_more_workers_than_cores_have_a_thread_each(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert [threads_of(workers) for workers in (1, 3, 4, 5)] == [4, 1, 1, 1]
