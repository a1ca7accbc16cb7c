"""Reports on the mutants: JSON for programs, Markdown for people, and the reasons why a run fails."""

import json
import os
import platform
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.circumstances import processor
from tests.mutants.rules import RULES
from tests.mutants.sampling import HELD_OUT_SEED
from tests.mutants.trees import TIME_OUT

HERE = Path(__file__).parent
EQUIVALENT = HERE / "equivalent.toml"
LEAST_SCORE = 0.9
"""Smallest share of the sampled mutants that are not equivalent which tests must kill."""
AUDIT, HELD_OUT = "audit", "held_out"


@dataclass(frozen=True)
class Result:
    """A mutant and the result of its run."""

    group: str
    """`audit`, `held_out`, or the path of the sampled module."""
    path: str
    what: str
    """Id of the defect, or cosmic-ray's operator."""
    line: str
    becomes: str
    killed: bool
    by: str
    seconds: float

    @property
    def change(self) -> tuple[str, str, str, str]:
        return self.path, self.what, self.line, self.becomes


@dataclass(frozen=True)
class Equivalent:
    """A mutant that behaves as the code does."""

    module: str
    operator: str
    line: str
    becomes: str
    reason: str
    held_out_seed: int | None = None
    """The seed of the held-out sample after whose run the mutant was judged."""

    @property
    def change(self) -> tuple[str, str, str, str]:
        return self.module, self.operator, self.line, self.becomes


def read_equivalents(file: Path = EQUIVALENT) -> list[Equivalent]:
    """Read the list of mutants that are known to be equivalent."""
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("equivalent", [])
    return [
        Equivalent(**{name: value.strip() if isinstance(value, str) else value for name, value in entry.items()})
        for entry in entries
    ]


@dataclass(frozen=True)
class Row:
    """The counts of a group."""

    group: str
    mutants: int
    killed: int
    equivalent: int
    seconds: float

    @property
    def score(self) -> float:
        return self.killed / (self.mutants - self.equivalent) if self.mutants > self.equivalent else 1.0


def rows(results: Sequence[Result], equivalents: Iterable[Equivalent]) -> list[Row]:
    """Return a row for each group, in the order of the results."""
    known = {entry.change for entry in equivalents}
    found = []
    for group in dict.fromkeys(result.group for result in results):
        mine = [result for result in results if result.group == group]
        n_equivalent = sum(not r.killed and group != AUDIT and r.change in known for r in mine)
        found.append(Row(group, len(mine), sum(r.killed for r in mine), n_equivalent, sum(r.seconds for r in mine)))
    return found


def survivors(results: Iterable[Result], equivalents: Iterable[Equivalent]) -> list[Result]:
    """Return the mutants that no test detects although they are not equivalent."""
    known = {entry.change for entry in equivalents}
    return [r for r in results if not r.killed and (r.group == AUDIT or r.change not in known)]


def complaints(results: Sequence[Result], equivalents: Sequence[Equivalent], seed: int = HELD_OUT_SEED) -> list[str]:
    """Return the reasons why the run fails; entries of modules or held-out samples that were not run are not checked."""
    found = [f"{r.what} survives: {r.path}" for r in survivors(results, equivalents) if r.group == AUDIT]
    samples = {
        "sampled": [r for r in results if r.group not in {AUDIT, HELD_OUT}],
        "held-out": [r for r in results if r.group == HELD_OUT],
    }
    for name, sampled in samples.items():
        total = together(rows(sampled, equivalents))
        if total.score < LEAST_SCORE:
            found.append(f"{total.score:.1%} of the {name} mutants are killed, must be {LEAST_SCORE:.0%}")
    for entry in equivalents:
        mine = samples["sampled" if entry.held_out_seed is None else "held-out"]
        if entry.module in {r.path for r in mine} and entry.held_out_seed in {None, seed}:
            result = next((r for r in mine if r.change == entry.change), None)
            if result is None:
                found.append(f"listed as equivalent, but not sampled: {entry.module}: {entry.line} -> {entry.becomes}")
            elif result.killed:
                found.append(f"listed as equivalent, but killed: {entry.module}: {entry.line} -> {entry.becomes}")
    return found


def together(counts: Iterable[Row]) -> Row:
    """Return the sum of some counts."""
    counts = list(counts)
    sums = (sum(getattr(row, name) for row in counts) for name in ("mutants", "killed", "equivalent", "seconds"))
    return Row("all", *sums)


@dataclass(frozen=True)
class Circumstances:
    """The circumstances of a run."""

    command: str
    commit: str
    """The commit just before the code was copied."""
    wall_s: float
    seed: int = HELD_OUT_SEED
    """Seed of the held-out sample."""


def as_json(results: Sequence[Result], equivalents: Sequence[Equivalent], run: Circumstances) -> dict[str, Any]:
    """Return the report for programs."""
    counts = rows(results, equivalents)
    audit = together(row for row in counts if row.group == AUDIT)
    sampled = together(row for row in counts if row.group not in {AUDIT, HELD_OUT})
    held_out = together(row for row in counts if row.group == HELD_OUT)
    return {
        "audit": {"mutants": audit.mutants, "killed": audit.killed},
        "sampled": {"mutants": sampled.mutants, "killed": sampled.killed, "equivalent": sampled.equivalent},
        "held_out": {
            "seed": run.seed,
            "mutants": held_out.mutants,
            "killed": held_out.killed,
            "equivalent": held_out.equivalent,
        },
        "survivors": [_told(result) for result in survivors(results, equivalents)],
        "score": round(sampled.score, 4),
        "held_out_score": round(held_out.score, 4),
        "modules": {
            row.group: {**asdict(row), "score": round(row.score, 4), "seconds": round(row.seconds, 1)} for row in counts
        },
        "mutants": [{"group": r.group, **_told(r), "killed": r.killed, "by": _killer(r)} for r in results],
        "timed_out": [_told(result) for result in results if result.by == TIME_OUT],
        "command": run.command,
        "commit": run.commit,
        "date": datetime.now(UTC).date().isoformat(),
        "minutes": round(run.wall_s / 60, 1),
        "machine": {"processor": processor(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("cosmic-ray", "pytest", "hypothesis", "numpy", "torch", "ray")},
    }


def as_markdown(report: dict[str, Any]) -> str:
    """Return the report for people."""
    audit, sampled, held_out, machine = (report[name] for name in ("audit", "sampled", "held_out", "machine"))
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    where = f"{machine['cpus']} cores of {machine['processor']}, Python {machine['python']}, {versions}"
    columns = ("group", "mutants", "killed", "equivalent", "score", "seconds")
    table = [
        (group, row["mutants"], row["killed"], row["equivalent"], f"{row['score']:.0%}", round(row["seconds"]))
        for group, row in report["modules"].items()
    ]
    text = f"""# Mutants

`{report["command"]}` at {report["commit"]}, {report["date"]}: {report["minutes"]} minutes on {where}.

`audit.toml` lists defects that tests missed in audits by hand, or met by accident. {audit["mutants"]} were run, and tests
detect {audit["killed"]}.

The first sample has {sampled["mutants"]} mutants of core modules; tests detect {sampled["killed"]}.
{sampled["equivalent"]} behave as the code does (`equivalent.toml` gives the reasons); {report["score"]:.1%} of the others are
killed. Tests were written against survivors of this sample.

No test was written against the second, smaller sample (seed {held_out["seed"]}) before it was run. It has
{held_out["mutants"]} held-out mutants; tests detect {held_out["killed"]}, {held_out["equivalent"]} behave as the code does, as
judged afterwards, and {report["held_out_score"]:.1%} of the others are killed.

| {" | ".join(columns)} |
|---|{"--:|" * (len(columns) - 1)}
{_lines(f"| {' | '.join(map(str, row))} |" for row in table)}

A mutant is killed when one of the tests of `make test` nearest to it (`modules.py`, `audit.toml`) fails, or takes many times as
long as without the mutant ({len(report["timed_out"])} did). A hash selects the places, from the families of operators in turn,
and one mutant per place. Texts are not changed, operators are replaced by others of the same types, and no mutant is made in

{_lines(f"- {rule}" for rule in RULES)}

The samples delete no statements and no arguments: the audit's defects do.
"""
    if report["survivors"]:
        text += f"\n## Survivors\n\n{_lines(f'- {_sentence(entry)}' for entry in report['survivors'])}\n"
    return text


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def write(report: dict[str, Any], file: Path) -> None:
    """Write the report and, beside it, REPORT.md."""
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    file.with_name("REPORT.md").write_text(as_markdown(report), encoding="utf-8")


def _told(result: Result) -> dict[str, str]:
    return {"path": result.path, "what": result.what, "line": result.line, "becomes": result.becomes}


def _killer(result: Result) -> str:
    """Return the test that killed a mutant, without its reason, or what else ended the run; drop the path of the copy."""
    return re.sub(r"/\S*/tree/", "", " ".join(result.by.partition(" - ")[0].split()))[:200]


def _sentence(entry: dict[str, str]) -> str:
    line, becomes = (" ".join(entry[name].split()) for name in ("line", "becomes"))
    return f"{entry['path']}, {entry['what']}: `{line}` becomes `{becomes}`"
