"""The process of a worker of `local_pool`: it makes an object, then runs methods of the object, each call in a thread.

It first gets the name of a class. The first request holds the arguments of the class, the others a method and its arguments.
The process ends with its pipe, so it does not outlive the process that started it. Both ends of the pipe are this program, so
objects may be pickled.
"""

import gc
import os
import pkgutil
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from infra import json_logs


class _Answers:
    """Sends answers, one at a time: the request's number and a text, then the answer and whether it is an exception."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, Lock()

    def send(self, number: int, answer: Any, *, has_raised: bool = False) -> None:
        name = type(answer).__name__
        text = f"{name}: {answer}" if has_raised else f"an answer of {name} cannot be sent"
        with self._lock:
            self._connection.send((number, text))
            try:
                self._connection.send((has_raised, answer))
            except OSError:
                raise
            except Exception:  # noqa: BLE001 - objects raise many types when they cannot be pickled
                self._connection.send((True, RuntimeError(text)))


def _read(connection: Connection, requests: "SimpleQueue[bytes]") -> None:
    """Pass on the requests until the pipe ends, then end this process at once, even if it imports or makes its object."""
    try:
        while True:
            # Other threads must not import modules while the main thread does, so the main thread makes the objects.
            requests.put(connection.recv_bytes())
    finally:
        os._exit(1)


def _call(worker: Any, number: int, method: str, arguments: list[Any], answers: _Answers) -> None:
    try:
        answer = getattr(worker, method)(*arguments)
    except BaseException as error:  # noqa: BLE001 - every exception is raised again in the other process
        answers.send(number, error, has_raised=True)
    else:
        answers.send(number, answer)


def main() -> None:
    """Serve the pipe that is the standard input of this process."""
    # The copy is not passed on, so a process that this one starts does not keep the pipe open.
    connection = Connection(os.dup(0))
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    if json_logs.is_asked():
        json_logs.log_json()
    answers, requests = _Answers(connection), SimpleQueue[bytes]()
    Thread(target=_read, args=(connection, requests), daemon=True).start()
    # Imports make a million objects that stay: looking for garbage among them takes a tenth of the start.
    gc.disable()
    try:
        make = pkgutil.resolve_name(ForkingPickler.loads(requests.get()))
        number, *arguments = ForkingPickler.loads(requests.get())
        worker = make(*arguments)
    except BaseException as error:  # noqa: BLE001 - every exception is raised again in the other process
        answers.send(0, error, has_raised=True)
        return
    gc.freeze()
    gc.enable()
    answers.send(number, None)
    while True:
        number, method, *arguments = ForkingPickler.loads(requests.get())
        Thread(target=_call, args=(worker, number, method, arguments, answers), daemon=True).start()


if __name__ == "__main__":
    main()
