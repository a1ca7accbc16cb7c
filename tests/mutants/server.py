"""Client of the process that runs pytest in forks of itself (`preloaded.py`)."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

LIBRARIES = (
    *("pytest", "_pytest.junitxml", "hypothesis", "numpy", "scipy.signal", "scipy.stats"),
    *("scipy.ndimage", "skimage.transform", "sklearn.metrics", "sklearn.linear_model", "sklearn.manifold", "numba"),
    *("lenstronomy.LensModel.lens_model", "astropy.io.fits", "astropy.wcs", "astropy.cosmology", "astropy.table"),
    *(
        "torch",
        "safetensors.torch",
        "captum.attr",
        "matplotlib.pyplot",
        "pydantic_settings",
        "httpx",
        "botocore.session",
    ),
    *("pyarrow.parquet", "pyarrow.dataset", "duckdb", "ray", "cyclopts", "rich.progress"),
)
"""Modules that tests import and that take long to import; not OpenVINO, which starts a thread."""
_NO_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Settings without which Arrow would start a thread when it is imported."""
_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_START_S = 600.0
"""Longest time to import the libraries on a busy machine, or for a killed run to exit, in seconds."""


class TreeError(Exception):
    """Raised when a copy does not work as it must, so that its results on mutants would be meaningless."""


class Server:
    """Starts runs of pytest, one after the other."""

    def __init__(self, libraries: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("preloaded.py"), *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_environment(), **_SETTINGS, **_NO_THREAD},
            text=True,
            start_new_session=True,
        )
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, *, env: dict[str, str], **wanted: Any) -> int:
        """Start a run as `preloaded.py` describes it; return its process id, which is also its group id.

        Raises:
            TreeError: the server process has ended.
            queue.Empty: the server process does not answer.
        """
        if self._process.stdin is None or self._process.poll() is not None:
            raise TreeError("the process that runs the tests ended")
        line = json.dumps({**wanted, "env": {**dict.fromkeys(_NO_THREAD, ""), **env}})
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer(_START_S)

    def exit_code(self, within_s: float | None) -> int | None:
        """Return the exit code of the run, or None if it takes longer; call again after killing such a run.

        Raises:
            TreeError: the server process has ended.
        """
        try:
            return self._answer(_START_S if within_s is None else within_s)
        except Empty:
            return None

    def close(self) -> None:
        """End the server process."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._answers.put(line)
        self._answers.put("")

    def _answer(self, within_s: float) -> int:
        line = self._answers.get(timeout=within_s)
        if not line:
            raise TreeError("the process that runs the tests ended")
        return int(line)


def _environment() -> dict[str, str]:
    """Return the environment of this process, without the variables that would change how tests run."""
    return {
        name: value for name, value in os.environ.items() if name not in {"NUMBA_CACHE_DIR", "PYTEST_ADDOPTS", "PYTHONPATH"}
    }
