import errno
import subprocess
import sys

import pytest

from training.errors import TrainingError
from training.work_lock import locked

HOLD = """
import sys, time
from pathlib import Path
from training.work_lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_locked_in_use_and_free_after_it(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "work"), pytest.raises(TrainingError, match="another training"), locked(tmp_path / "work"):
            pass


def test_a_refused_training_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="refused"), locked(tmp_path / "runs" / "work"):
        raise ValueError("refused")
    assert not list(tmp_path.iterdir())
    with locked(tmp_path / "runs" / "work"):
        (tmp_path / "runs" / "work" / "data").mkdir()
    assert (tmp_path / "runs" / "work" / "data").is_dir()


def test_a_killed_process_keeps_no_lock(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "locked\n"
            with pytest.raises(TrainingError, match=r"another training uses it; wait for its end"), locked(tmp_path):
                pass
        finally:
            process.kill()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(("number", "is_passed"), [(errno.ENOSYS, True), (errno.ENOLCK, True), (errno.EIO, False)])
def test_a_file_system_without_locks_does_not_stop_it(tmp_path, monkeypatch, number, is_passed):
    def fail(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", fail)
    if is_passed:
        with locked(tmp_path):
            pass
    else:
        with pytest.raises(OSError, match="no locks"), locked(tmp_path):
            pass
