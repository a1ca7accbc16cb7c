from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.harness.patience import TimedOut, wait_for

pytestmark = pytest.mark.server


def n_at_work_in(folder):
    """Return the number of processes whose working folder it is."""
    folders = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            folders.append(link.readlink())
    return folders.count(folder)


def test_a_command_that_takes_too_long_is_killed(lensscan, tmp_path):
    with pytest.raises(TimedOut, match="a forked command printed nothing within"):
        lensscan("simulate", "--n", "2000", "--out", "shards", cwd=tmp_path, limit_s=0.3)
    wait_for("the end of its processes", lambda: n_at_work_in(tmp_path) == 0)
    # The answer about the killed command is not taken for that of the next one.
    assert lensscan("--version").returncode == 0
