"""Arguments of any command, before and while they are parsed: `--verbose`, lists with spaces, whole numbers, local paths."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from flows.terminal import printable
from infra import json_logs
from scanner.vocabulary.choices import CutName

VERBOSE = ("--verbose", "-v")
LOG_JSON = "--log-json"
_LOG = logging.getLogger(__name__)


class _Stderr(logging.Handler):
    """Writes to stderr as it is at that moment: a progress bar replaces it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(printable(self.format(record)) + "\n")


def prepared(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without `--verbose` and `--log-json`, which switch logs on, and with `1, 2` as one argument."""
    words = [word for word in arguments if word not in {*VERBOSE, LOG_JSON}]
    if LOG_JSON in arguments:
        os.environ[json_logs.VARIABLE] = json_logs.JSON
    if json_logs.is_asked():
        json_logs.log_json()
    elif len(words) < len(arguments):
        _log_to_stderr()
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].endswith(",") and not word.startswith("--"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def complain(message: str) -> None:
    """Tell the user why a command ended: in one line, or as a record of the logs in JSON."""
    if json_logs.is_asked():
        _LOG.error("%s", message)
    else:
        sys.stderr.write(f"lensscan: {printable(message)}\n")


def warn(message: str) -> None:
    """Warn the user on stderr: in one line, or as a record of the logs in JSON."""
    if json_logs.is_asked():
        _LOG.warning("%s", message)
    else:
        sys.stderr.write(f"lensscan: warning: {printable(message)}\n")


@contextmanager
def told() -> Iterator[None]:
    """Log how long the block takes, and the causes of an error that ends it."""
    start = time.monotonic()
    try:
        yield
    except Exception as error:
        for cause in _causes(error):
            _LOG.info("cause: %s: %s", type(cause).__name__, " ".join(str(cause).split()))
        raise
    finally:
        _LOG.info("ended after %.1f s", time.monotonic() - start)


def whole_number(_: type, tokens: Sequence[Any]) -> int:
    """Return the whole number that a word of the command line is, such as 1000, 1e3 or 1_000.

    Raises:
        ValueError: it is none.
    """
    word = tokens[0].value
    try:
        number = float(word)
        if number == int(number):
            return int(word) if word.lstrip("+-").replace("_", "").isdigit() else int(number)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"must be a whole number, such as 1000, 1e3 or 1_000, got {word}")


def fraction_or_cut(_: type, tokens: Sequence[Any]) -> float | CutName:
    """Return the number from 0 to 1, or the name of a cut, that a word of the command line is.

    Raises:
        ValueError: it is neither.
    """
    word = tokens[0].value
    for name in get_args(CutName):
        if word == name:
            return name
    try:
        if 0 <= (number := float(word)) <= 1:
            return number
    except ValueError:
        pass
    raise ValueError(f"must be a number from 0 to 1, {' or '.join(get_args(CutName))}, got {word}")


def local_place(_: type, tokens: Sequence[Any]) -> Path:
    """Return the path that a word of the command line is.

    Raises:
        ValueError: it is an `s3://` URI, or another one.
    """
    # Imported here: pyarrow takes as long as all other imports of `--help`.
    from infra.store.storage import StorageError, local_only

    try:
        return local_only(tokens[0].value)
    except StorageError as error:
        raise ValueError(str(error)) from error


def _log_to_stderr() -> None:
    from infra.steps import Step, listen

    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    for name in json_logs.LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers = [handler]

    def log(step: Step, subject: str) -> None:
        if step in {Step.OPENED, Step.SCORED, Step.CREATED}:
            logging.getLogger(Step.__module__).info("%s %s", step, subject)

    listen(log)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that an error was raised from, the nearest first."""
    while cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        yield cause
        error = cause
