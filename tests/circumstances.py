"""The code and the processor that a measured figure holds for."""

import platform
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_TREE = ("infra", "scanner", "simulation", "training", "flows", "tests", "pyproject.toml", "Makefile")
_REPORTS = (":!tests/*/report.json", ":!tests/*/REPORT.md", ":!tests/benchmarks/results.json", ":!tests/benchmarks/RESULTS.md")
"""Files that measurements write: changes to them do not make a commit dirty."""


def commit() -> str:
    """Return the commit of the working tree, with `+dirty` where product or tests differ from it."""
    try:
        name = _git("rev-parse", "HEAD")
        return f"{name}+dirty" if _git("status", "--porcelain", "--", *_TREE, *_REPORTS) else name
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.strip()
