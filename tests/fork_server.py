"""Start processes as forks of one server that has done their imports, so that each starts within milliseconds."""

import functools
import multiprocessing
import os
from multiprocessing import forkserver
from unittest.mock import patch

from tests.forks import ROOT, SETTINGS


@functools.cache
def forks():
    """Start the server, which has one thread and runs `tests.warm_forks`; return the context that makes its forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.warm_forks"])
    with patch.dict(os.environ, {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **SETTINGS}):
        forkserver.ensure_running()
    return context
