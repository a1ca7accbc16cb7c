"""Logs for programs: one JSON object a line on stderr, with the run that it belongs to, in the driver and in its workers."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from infra.store.files import one_line

LOGGERS = ("flows", "infra", "scanner", "simulation", "training")
"""Packages whose logs are shown."""
VARIABLE, JSON = "LENSSCAN_LOG", "json"
"""Environment variable, and its value, that ask for these logs; workers inherit them."""

_run: dict[str, str | None] = {"run_id": None, "night": None}


def is_asked() -> bool:
    """Return whether the environment asks for logs in JSON."""
    return os.environ.get(VARIABLE) == JSON


def log_variables() -> dict[str, str]:
    """Return the environment variables that processes on other machines need to log in the same way."""
    return {VARIABLE: JSON} if is_asked() else {}


def set_run(run_id: str, night: str | None) -> None:
    """Name the run that the logs of this process belong to from now on."""
    _run.update(run_id=run_id, night=night)


def log_json() -> None:
    """Write the logs of this program, from INFO on, as JSON to stderr; a second call changes nothing."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not any(isinstance(handler, JsonHandler) for handler in logger.handlers):
            logger.addHandler(JsonHandler())


class JsonHandler(logging.Handler):
    """Writes each record as a line of JSON to stderr as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record whole, so that lines of several processes do not mix."""
        sys.stderr.write(json_line(record) + "\n")
        sys.stderr.flush()


def json_line(record: logging.LogRecord) -> str:
    """Return a record as one line: the time in UTC, the level, the run, the unit if there is one, and the message.

    The message has no user and password of a URL. Of an exception only the types are told: a traceback may quote values.
    """
    about: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        **_run,
        "unit": getattr(record, "unit", None),
        "logger": record.name,
        "message": one_line(record.getMessage()),
    }
    if record.exc_info and record.exc_info[0] is not None:
        about["error"] = record.exc_info[0].__name__
    return json.dumps(about, ensure_ascii=False)
