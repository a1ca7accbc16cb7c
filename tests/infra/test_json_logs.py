"""A record of the logs is one line of JSON with its run, and holds no password and no traceback."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from infra import json_logs
from infra.json_logs import json_line, set_run

CODE = (
    "import logging\nfrom infra import json_logs\n"
    "json_logs.log_json()\njson_logs.log_json()\njson_logs.set_run('id', None)\n"
    "logging.getLogger('scanner.x').info('told')\nlogging.getLogger('scanner.x').debug('not told')\n"
    "logging.getLogger('other').warning('not ours')\n"
)


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(json_logs, "_run", dict(json_logs._run))
    set_run("run-1", "2026-11-24")


def record_of(message, *arguments, **options):
    return logging.getLogger("scanner.test").makeRecord(
        "scanner.test", logging.WARNING, "file", 1, message, arguments, options.pop("exc_info", None), extra=options
    )


def test_a_record_is_one_line_with_its_run_and_unit(run):
    line = json_line(record_of("tile %s\nfailed in\ttwo lines", "7", unit="000000007"))
    assert "\n" not in line
    found = json.loads(line)
    when = datetime.fromisoformat(found.pop("time"))
    assert abs((when - datetime.now(UTC)).total_seconds()) < 5
    assert found == {
        "level": "WARNING",
        "run_id": "run-1",
        "night": "2026-11-24",
        "unit": "000000007",
        "logger": "scanner.test",
        "message": "tile 7 failed in two lines",
    }


def test_passwords_of_urls_and_tracebacks_are_left_out(run):
    error = ValueError("canary-in-the-error")
    line = json_line(record_of("at http://user:canary-word@store/x", exc_info=(ValueError, error, None)))
    assert "canary" not in line
    assert json.loads(line)["error"] == "ValueError"
    assert json.loads(line)["unit"] is None


def test_only_this_program_logs_and_each_record_once():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    first, *others = done.stderr.splitlines()
    assert json.loads(first)["message"] == "told"
    assert others == ["not ours"]


def test_workers_elsewhere_are_asked_too(monkeypatch):
    monkeypatch.delenv("LENSSCAN_LOG", raising=False)
    assert json_logs.log_variables() == {}
    monkeypatch.setenv("LENSSCAN_LOG", "json")
    assert json_logs.log_variables() == {"LENSSCAN_LOG": "json"}
