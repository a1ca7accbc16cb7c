"""Ctrl-C: end the command with one line, its exit code and all processes that it started, soon and at any time."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread, get_ident
from typing import NoReturn

PATIENCE_S = 1.0
"""Time in which the command may clean up before it is ended hard; a command that was ended hard continues all the same."""
STOPPED = "lensscan: stopped\n"
MESSAGE = "lensscan: stopped; run the same command again to continue\n"
_CONTINUE = ("scan", "simulate", "train", "seal", "repair", "vet", "demo", "reproduce", "models nonlenses", "models combine")
"""Commands that keep what they have done; others begin anew."""
EXIT_CODE = 130


@contextmanager
def ends_on_interrupt() -> Iterator[None]:
    """Run the `with` block until Ctrl-C, which raises KeyboardInterrupt in it once and ends the process after `PATIENCE_S`.

    No thread gets the signal itself, nor does a process that is started: one thread waits for it, whatever the others do.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background commands so.
        yield
        return
    ending = _Ending()
    signal.signal(signal.SIGUSR1, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    Thread(target=ending.wait, args=(get_ident(),), daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        ending.end()


class _Ending:
    """The end of the process: begun by the first signal, complete when the command has cleaned up or time is over."""

    def __init__(self) -> None:
        self._stderr = os.dup(2)
        self._last = Lock()

    def wait(self, main: int) -> None:
        """Wait for the signal, interrupt the main thread, and end the process if the command does not."""
        signal.sigwait({signal.SIGINT})
        # Libraries print messages while they are interrupted, which tell a person nothing.
        with Path(os.devnull).open("w") as nothing:
            for descriptor in (1, 2):
                os.dup2(nothing.fileno(), descriptor)
        signal.pthread_kill(main, signal.SIGUSR1)
        time.sleep(PATIENCE_S)
        self.end()

    def end(self) -> NoReturn:
        """Kill the processes below this one, print the line and end."""
        self._last.acquire()
        _kill_descendants()
        # A progress bar has hidden the cursor, and ends without a new line.
        before = "\n\x1b[?25h" if os.isatty(self._stderr) else ""
        with suppress(OSError):
            os.write(self._stderr, f"{before}{message(sys.argv[1:])}".encode())
        os._exit(EXIT_CODE)


def message(arguments: Sequence[str]) -> str:
    """Return the line that an interrupted command ends with; the first arguments that are no options are the command."""
    words = [argument for argument in arguments if not argument.startswith("-")]
    return MESSAGE if {" ".join(words[:n]) for n in (1, 2)} & {*_CONTINUE} else STOPPED


def _kill_descendants() -> None:
    # A stopped process starts no others while the rest is found.
    for how in (signal.SIGSTOP, signal.SIGKILL):
        for pid in descendants(os.getpid()):
            with suppress(OSError):
                os.kill(pid, how)


def descendants(ancestor: int) -> list[int]:
    """Return the ids of the processes below a process, parents first; none on a system without /proc."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name in parentheses may hold anything.
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [ancestor]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]
