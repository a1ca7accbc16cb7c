"""Build the table of faults from the marks, the figures and the outcomes of the fault tests."""

import json
import os
import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.circumstances import processor
from tests.faults.harness.harm import KINDS
from tests.faults.harness.rows import ROWS

KILLS = {
    "worker_kills": "workers killed in a scan",
    "driver_kills_ray": "drivers killed, with Ray",
    "driver_kills_no_ray": "drivers killed, without Ray",
}
HISTORIES = "histories"
"""Histories in one process, where an exception replaces a kill: they do not count as runs of a fault."""
FIGURES = (*KILLS, HISTORIES)
_COLUMNS = ("runs", "rows_checked", *KINDS, "violations", "failed", "timed_out", "recovery_s")
_HEADINGS = ("fault", "runs", "rows read", *KINDS, "violations", "failed tests", "time-outs", "recovery, s", "")
_ABOUT = """\
The **runs** of a row are the faults that its tests injected; a test counts in one row, or assigns each of its runs to a row.
**Lost**, **doubled** and **wrong** count rows of catalogues, **torn** counts files; the checks read the catalogue that the
fault left behind (**rows read**), and a dash means that no check of that row reads a catalogue. **Violations** is their sum.
Tests that **failed** for any reason, and those that waited longer than the harness allows (**time-outs**), are counted
separately. **Recovery** is the longest time from a fault to the next commit of any worker or of the sealing driver or, for
reads, until they continued. Ray's workers run with `RAY_worker_niceness=0`, in these tests as in all others: by default they
yield to every other process, and make no progress on a busy machine."""


def entry(number, tests, commit):
    """Return one row of `report.json`, from the tests that count in it: dictionaries that `reporting` collects."""
    skipped = Counter(test["skipped"] for test in tests if test["skipped"])
    ran = [test for test in tests if not test["skipped"]]
    harm = {kind: sum(test["harm"].get(kind, 0) for test in ran) for kind in KINDS}
    figures = [figure for test in ran for figure in test["measured"]]
    given = {name: sum(figure.get(name, 0) for figure in figures) for name in FIGURES}
    return {
        "fault": f"{number}: {ROWS[number]}",
        "commit": commit,
        "runs": sum(figure["runs"] for figure in figures),
        **harm,
        "violations": sum(harm.values()),
        "rows_checked": sum(test["harm"].get("checked", 0) for test in ran),
        "failed": sum(test["failed"] for test in ran),
        "timed_out": sum(test["timed_out"] for test in ran),
        "skipped": skipped.total(),
        "recovery_s": _rounded(_largest(figures, "recovery_s")),
        "work_done_again": _rounded(_largest(figures, "work_done_again")),
        **{name: n for name, n in given.items() if n},
        "note": _note(figures, given, skipped, has_run=bool(ran)),
    }


def _note(figures, given, skipped, *, has_run):
    if not has_run:
        return f"skipped: {'; '.join(skipped)}" if skipped else "not run"
    parts = [f"{given[name]} {words}" for name, words in KILLS.items() if given[name]]
    if given[HISTORIES]:
        parts.append(f"in addition, {given[HISTORIES]} random histories in one process")
    again = _largest(figures, "work_done_again")
    if again:
        parts.append(f"at most {100 * again:.0f} % of the work was done again")
    parts += dict.fromkeys(figure["note"] for figure in figures if figure.get("note"))
    parts += [f"{n} tests skipped: {why}" if n > 1 else f"a test skipped: {why}" for why, n in skipped.items()]
    return "; ".join(parts)


def write(path, entries):
    """Write the list as JSON, and the same as a table next to it."""
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    path.with_name("REPORT.md").write_text(markdown(entries), encoding="utf-8")


def markdown(entries):
    """Return the table, headed by the commit, the machine and the versions."""
    totals = {name: sum(row.get(name, 0) for row in entries) for name in (*KILLS, HISTORIES)}
    kills = "; ".join(f"{totals[name]} {words}" for name, words in KILLS.items())
    lines = ["# Faults", "", f"Written by `make faults` of commit {entries[0]['commit']}, {_machine()}.", "", _ABOUT, ""]
    lines += [f"In all: {kills}; {totals[HISTORIES]} random histories in one process.", ""]
    lines += [f"| {' | '.join(_HEADINGS)} |", f"|---|{'--:|' * (len(_HEADINGS) - 2)}---|"]
    lines += [f"| {' | '.join([row['fault'], *_shown(row), row['note']])} |" for row in entries]
    return "\n".join(lines) + "\n"


def _shown(row):
    for name in _COLUMNS:
        if row[name] is None:
            yield ""
        elif name in {*KINDS, "violations"} and not row["rows_checked"] and not row[name]:
            yield "-"
        else:
            yield f"{row[name]:g}" if isinstance(row[name], float) else str(row[name])


def _machine():
    today = datetime.now(UTC).date().isoformat()
    memory = [int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    cores = f"{os.cpu_count()} cores of {processor()}"
    space = f", {memory[0]:.0f} GiB" if memory else ""
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", "prefect", "openvino", "torch", "pyarrow"))
    return f"on {today}, {cores}{space}, Python {platform.python_version()}, {versions}"


def _lines(path):
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _largest(figures, name):
    return max((figure[name] for figure in figures if figure.get(name) is not None), default=None)


def _rounded(number):
    return None if number is None else round(number, 2 if number < 10 else 1)
