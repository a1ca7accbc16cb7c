"""Let one training at a time use a work folder."""

import errno
import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from training.errors import TrainingError

LOCK_FILE = "lock"
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}
"""Errors of file systems that have no locks: a training there goes on without."""


@contextmanager
def locked(work: Path) -> Iterator[None]:
    """Make a work folder, and keep other trainings out of it; the system ends the lock of a process that is killed.

    Two trainings at once would write into each other's data and weights.

    Raises:
        TrainingError: another training uses the folder.
    """
    new = [folder for folder in (work, *work.parents) if not folder.exists()]
    work.mkdir(parents=True, exist_ok=True)
    with (work / LOCK_FILE).open("w") as lock:
        _lock(lock, work)
        try:
            yield
        finally:
            _remove_unused(work, new)


def _lock(lock: TextIO, work: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrainingError(f"{work}: another training uses it; wait for its end, or choose another --name or --out") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _remove_unused(work: Path, new: Iterable[Path]) -> None:
    """Remove the lock and the new folders if there is nothing else: a command that is refused leaves none."""
    with suppress(OSError):
        if [path.name for path in work.iterdir()] == [LOCK_FILE]:
            (work / LOCK_FILE).unlink()
            for folder in new:
                folder.rmdir()
