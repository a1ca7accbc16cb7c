import os

import pytest

from tests.faults.harness.patience import TimedOut

pytestmark = pytest.mark.server


def n_readers(pipe):
    """Return 1 if a process reads the named pipe or waits for its content, else 0."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return 0
    return 1


def test_a_command_that_hangs_is_killed(lensscan, tmp_path):
    """Opening a named pipe that nobody writes to never ends."""
    pipe = tmp_path / "manifest.csv"
    os.mkfifo(pipe)
    with pytest.raises(TimedOut, match="a forked command printed nothing within"):
        lensscan("score", pipe, "--out", "scores.parquet", cwd=tmp_path, limit_s=0.3)
    assert n_readers(pipe) == 0
    # The answer about the killed command is not taken for that of the next one.
    assert lensscan("--version").returncode == 0
