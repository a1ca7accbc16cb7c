"""Kill or stop a process at points of the commit protocol, by wrapping the product's own functions.

Call `install(step)` in the process itself; or use `install_from_environment` as the `worker_process_setup_hook` of Ray's
workers, with LENSSCAN_TEST_CRASH_AT=step and, all optional, LENSSCAN_TEST_CRASH_UNIT (only at this unit),
LENSSCAN_TEST_CRASH_HOW (`kill`, `stop` or `raise`) and LENSSCAN_TEST_CRASH_ONCE (a file that is created first; while it exists,
nothing happens).
"""

import contextlib
import os
import signal
import stat
import sys
import threading
import time
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from unittest.mock import patch

import scanner.scan.unit
from infra.store import storage
from scanner.catalogue import ledger, plan, seal

CREATED = {"plans": "plan", "units": "unit", "candidates": "candidates", "seals": "seal"}
"""Kind of file that the protocol creates, by folder below the catalogue's root."""
BEFORE_PUBLICATION = ("before_skip_check", "after_open", "after_scoring", "after_encoding", "after_self_check")
STORE_STEPS = (*BEFORE_PUBLICATION, *(f"{what}.{when}" for what in CREATED.values() for when in ("before", "after")))
"""Steps in any store; at `unit.after`, the file exists and its receipt does not."""
DISK_STEPS = tuple(f"{what}.{when}" for what in CREATED.values() for when in ("before_sync", "before_link", "after_link"))
"""Steps on a POSIX file system: `before_link` comes after the file's fsync, `after_link` before the folder's."""
STEPS = (*STORE_STEPS, *DISK_STEPS)

_patches = contextlib.ExitStack()
_creating = threading.local()


class Crash(BaseException):
    """Raised in place of a kill, so that the process gets no further."""


@dataclass(frozen=True)
class _Point:
    step: str
    unit: str | None
    how: str
    once: Path | None

    def reached(self, step, unit=None):
        if step != self.step or (unit is not None and self.unit not in {None, unit}) or not self._is_first():
            return
        if self.how == "raise":
            raise Crash(step)
        if self.how == "stop":
            # The signal goes to this thread: a signal to the process may reach another thread first, and this one would run on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            return
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def _is_first(self):
        if self.once is None:
            return True
        try:
            os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def install(step, unit=None, *, how="kill", once=None):
    """Make this process kill itself (`kill`), stop (`stop`) or raise `Crash` (`raise`) at a step of `STEPS`.

    Args:
        step: The name of the point.
        unit: Id of the unit at which it happens; by default the first unit that reaches the step.
        how: `kill`, `stop` or `raise`.
        once: File that is created first; while it exists, nothing happens.
    """
    if step not in STEPS or how not in {"kill", "stop", "raise"}:
        raise ValueError(f"no such point or way: {step} {how}")
    uninstall()
    point = _Point(step, unit, how, None if once is None else Path(once))
    _everywhere(ledger.committed, _before(ledger.committed, lambda unit, *_: point.reached("before_skip_check", unit.unit_id)))
    _everywhere(
        scanner.scan.unit.open_unit,
        _after(scanner.scan.unit.open_unit, lambda unit, *_: point.reached("after_open", unit.unit_id)),
    )
    _everywhere(
        scanner.scan.unit.scan_open_unit,
        _after(scanner.scan.unit.scan_open_unit, lambda opened, *_: point.reached("after_scoring", opened.unit.unit_id)),
    )
    # Only the ledger's functions are wrapped, because the reader of committed units decodes too.
    _in(ledger, "encode_unit", _after(ledger.encode_unit, lambda _, footer: point.reached("after_encoding", footer.unit_id)))
    _in(ledger, "decode_unit", _after(ledger.decode_unit, lambda _, unit, *__: point.reached("after_self_check", unit.unit_id)))
    for module in (plan, ledger, seal):
        _in(module, "create_if_absent", _creation(storage.create_if_absent, point))
    _in(os, "fsync", _before(os.fsync, lambda descriptor: _is_file(descriptor) and _within(point, "before_sync")))
    linked = _before(os.link, lambda *_: _within(point, "before_link"))
    _in(os, "link", _after(linked, lambda *_: _within(point, "after_link")))


def install_from_environment():
    """Call `install` with the settings of the environment; do nothing if there are none."""
    said = {name: os.environ.get(f"LENSSCAN_TEST_CRASH_{name}") for name in ("AT", "UNIT", "HOW", "ONCE")}
    if said["AT"]:
        install(said["AT"], said["UNIT"], how=said["HOW"] or "kill", once=said["ONCE"])


def uninstall():
    """Restore the product's own functions."""
    _patches.close()


def _creation(create, point):
    @wraps(create)
    def creation(uri, data, attempt):
        folder = next(part for part in reversed(uri.split("/")) if part in CREATED)
        unit = uri.rpartition("/")[2].removesuffix(".parquet") if folder == "units" else None
        _creating.what = (CREATED[folder], unit)
        try:
            _within(point, "before")
            outcome = create(uri, data, attempt)
            _within(point, "after")
        finally:
            _creating.what = None
        return outcome

    return creation


def _within(point, when):
    """Reach the point if this thread is creating a file of the protocol, and not another file."""
    if what := getattr(_creating, "what", None):
        point.reached(f"{what[0]}.{when}", what[1])


def _is_file(descriptor):
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _before(function, reach):
    @wraps(function)
    def wrapper(*args, **kwargs):
        reach(*args)
        return function(*args, **kwargs)

    return wrapper


def _after(function, reach):
    @wraps(function)
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        reach(*args)
        return result

    return wrapper


def _everywhere(function, wrapper):
    """Replace the function in every module that imported it by its name."""
    for name, module in list(sys.modules.items()):
        if f"{name}.".startswith(("scanner.", "tests.faults.")) and getattr(module, function.__name__, None) is function:
            _in(module, function.__name__, wrapper)


def _in(module, name, wrapper):
    _patches.enter_context(patch.object(module, name, wrapper))
