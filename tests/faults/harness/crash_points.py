"""Kill or stop a process at the steps of the commit protocol (`infra.steps`).

Call `install(step)` in the process itself; or use `install_from_environment` as the `worker_process_setup_hook` of Ray's
workers, with LENSSCAN_TEST_CRASH_AT=step and, all optional, LENSSCAN_TEST_CRASH_UNIT (only at this unit),
LENSSCAN_TEST_CRASH_HOW (`kill`, `stop` or `raise`) and LENSSCAN_TEST_CRASH_ONCE (a file that is created first; while it exists,
nothing happens).
"""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from infra import steps
from infra.steps import Step
from scanner.catalogue.paths import CANDIDATES, JOURNAL, PLANS, QUARANTINE, SEALED, SEALS, UNIT_SUFFIX, UNITS

CREATED = {PLANS: "plan", UNITS: "unit", SEALED: "candidates", SEALS: "seal", JOURNAL: "shown"}
"""Kind of file that the protocol creates, by folder below the catalogue's root; the journal's first entry is `asked`."""
KINDS = {**CREATED, CANDIDATES: "night"}
"""The same with the file of a night, which is replaced."""
_ASKED = "/00000001.json"
"""End of the name of the entry that begins a scan."""
BEFORE_PUBLICATION = (Step.LOOK, Step.OPENED, Step.SCORED, Step.ENCODED, Step.CHECKED)
_FILES = (*CREATED.values(), "asked")
STORE_STEPS = (
    *BEFORE_PUBLICATION,
    *(f"{what}.{when}" for what in _FILES for when in (Step.CREATE, Step.CREATED)),
)
STORE_STEPS += ("night.replace", "night.replaced")
"""Steps in any store; at `unit.created`, the file exists and its receipt does not."""
DISK_STEPS = tuple(f"{what}.{when}" for what in _FILES for when in (Step.SYNC, Step.LINK, Step.LINKED))
DISK_STEPS += ("night.sync",)
"""Steps on a POSIX file system: `link` comes after the file's fsync, `linked` before the folder's."""
STEPS = (*STORE_STEPS, *DISK_STEPS)

_installed: list["_Point"] = []


class Crash(BaseException):
    """Raised in place of a kill, so that the process gets no further."""


@dataclass(frozen=True)
class _Point:
    step: str
    unit: str | None
    how: str
    once: Path | None

    def __call__(self, step, subject):
        name, unit = (step, subject) if step in BEFORE_PUBLICATION else _of_file(step, subject)
        if name != self.step or (unit is not None and self.unit not in {None, unit}) or not self._is_first():
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
    _installed.append(point)
    steps.listen(point)


def install_from_environment():
    """Call `install` with the settings of the environment; do nothing if there are none."""
    given = {name: os.environ.get(f"LENSSCAN_TEST_CRASH_{name}") for name in ("AT", "UNIT", "HOW", "ONCE")}
    if given["AT"]:
        install(given["AT"], given["UNIT"], how=given["HOW"] or "kill", once=given["ONCE"])


def uninstall():
    """Let this process run through all steps again."""
    while _installed:
        steps.stop_listening(_installed.pop())


def _of_file(step, uri):
    """Return the name of a step of the creation of a file, such as `unit.create`, and the unit that the file is of."""
    # A repair copies a file to the quarantine under its old path, which is no step of the protocol.
    folder = None if f"/{QUARANTINE}/" in uri else next((folder for folder in KINDS if f"/{folder}/" in uri), None)
    unit = uri.rpartition("/")[2].removesuffix(UNIT_SUFFIX) if folder == UNITS else None
    kind = "asked" if folder == JOURNAL and uri.endswith(_ASKED) else KINDS.get(folder)
    return f"{kind}.{step}", unit
