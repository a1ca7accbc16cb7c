"""A pool of processes on this machine, without a server; every call ends, even if its process dies."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from infra import json_logs
from infra.calls import Call, CallFailure, CallResult
from infra.errors import ClusterError
from infra.worker_pool import FailedStart, WorkerPool

_ROOT = Path(__file__).parents[1]
_EXIT_S = 5.0
"""Longest wait for a process to exit after its pipe has ended, or after SIGKILL."""


class LocalPool(WorkerPool):
    """A pool whose workers are processes, each with an object whose methods it calls. They end when this process ends."""

    def __init__(
        self,
        factory: str,
        arguments: tuple[Any, ...],
        n_workers: int,
        in_flight: int,
        variables: Mapping[str, str],
        early: "WorkerProcess | None" = None,
    ) -> None:
        """Start the processes.

        Args:
            factory: `module:class` of the object that each process makes; this process does not import it.
            arguments: Arguments of the class.
            n_workers: Number of processes to keep alive.
            in_flight: Largest number of calls that a process holds, each in a thread.
            variables: Environment variables that a process gets besides those of this one.
            early: A process of the same class and variables that was started before the arguments were known.

        Raises:
            ValueError: `n_workers` or `in_flight` is below 1.
        """
        self._factory, self._arguments, self._variables, self._early = factory, arguments, variables, early
        super().__init__(n_workers, in_flight)

    _no_start = "they do not answer"

    def _start_worker(self) -> tuple[Any, Any]:
        worker, self._early = self._early or WorkerProcess(self._factory, self._variables), None
        return worker, worker.ask(self._arguments)

    def _begin(self, worker: Any, call: Call) -> Any:
        return worker.ask((call.method, *call.arguments))

    def _first_ready(self, references: Sequence[Any], timeout_s: float | None) -> Any | None:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            ready = next((reference for reference in references if reference.is_over), None)
            if ready is not None:
                return ready
            processes = {reference.process.connection: reference.process for reference in references}
            heard = wait(list(processes), None if until is None else max(until - time.monotonic(), 0))
            if not heard:
                return None
            for connection in heard:
                processes[connection].hear()

    def _failed_start(self, reference: Any) -> FailedStart | None:
        error = reference.error
        return None if error is None else FailedStart(error, str(error) or type(error).__name__, not reference.has_died)

    def _result(self, call: Call, reference: Any, timeout_s: float | None = None) -> CallResult:
        del timeout_s  # All calls of a dead process are over as soon as its pipe has ended.
        if reference.error is None:
            return CallResult(call, reference.value)
        return CallResult(call, failure=CallFailure.DIED if reference.has_died else CallFailure.RAISED, error=reference.error)

    def _kill(self, worker: Any) -> None:
        worker.kill()


class _Reference:
    """A request to a process and, once it is over, the answer."""

    def __init__(self, process: "WorkerProcess") -> None:
        self.process = process
        self.is_over = self.has_died = False
        self.value: Any = None
        self.error: BaseException | None = None


class WorkerProcess:
    """A process that runs `infra.local_worker`, and the references to requests that are not over."""

    def __init__(self, factory: str, variables: Mapping[str, str]) -> None:
        """Start the process, which imports the class `module:class`; `ask` it first with the arguments of the class."""
        # A worker imports the same modules as this process, from any working directory.
        path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
        self.connection, theirs = Pipe()
        self._open: dict[int, _Reference] = {}
        self._n_asked = 0
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "infra.local_worker"],
                env={**os.environ, **variables, "PYTHONPATH": path},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=None if json_logs.is_asked() else subprocess.DEVNULL,
                # Ctrl-C on a terminal is for this process, which then ends its workers.
                process_group=0,
            )
        # A pipe holds little, so a process that reads nothing yet, or no more, would block this one without a deadline.
        self._unsent: SimpleQueue[Any] = SimpleQueue()
        self._sender = Thread(target=_send_all, args=(self.connection, self._unsent), daemon=True)
        self._sender.start()
        self._send(factory)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: tuple[Any, ...]) -> _Reference:
        """Send a request, and return the reference to the answer."""
        reference = self._open[self._n_asked] = _Reference(self)
        self._send((self._n_asked, *request))
        self._n_asked += 1
        return reference

    def _send(self, message: Any) -> None:
        self._unsent.put(ForkingPickler.dumps(message))

    def hear(self) -> None:
        """Take one answer, or the end of the process, which is the end of all its requests."""
        try:
            number, text = self.connection.recv()
            has_raised, answer = self._answer(text)
        except (EOFError, OSError):
            self._on_death()
            return
        reference = self._open.pop(number)
        reference.is_over = True
        if has_raised:
            reference.error = answer
        else:
            reference.value = answer

    def _answer(self, text: str) -> tuple[bool, Any]:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            raise
        except Exception:  # noqa: BLE001 - an exception's class may raise anything when it is made again
            return True, RuntimeError(text)

    def _on_death(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_S)
        error = ClusterError(f"its worker died: {_manner(self._process.returncode)}")
        for reference in self._open.values():
            reference.is_over = reference.has_died = True
            reference.error = error
        self._open.clear()

    def kill(self) -> None:
        """Kill the process, which may be dead already."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_S)
        self._unsent.put(None)
        self._sender.join(_EXIT_S)
        self.connection.close()


def _send_all(connection: Connection, messages: "SimpleQueue[Any]") -> None:
    """Send messages until None; if the process has died, `hear` reports that."""
    with contextlib.suppress(OSError):
        while (message := messages.get()) is not None:
            connection.send_bytes(message)


def _manner(returncode: int | None) -> str:
    if returncode is None:
        return "its pipe ended"
    if returncode >= 0:
        return f"exit code {returncode}"
    # Most real-time signals have no name.
    return next((known.name for known in signal.Signals if known == -returncode), f"signal {-returncode}")
