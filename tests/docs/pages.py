"""Read code blocks out of the pages of the documentation, and run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.sources import PACKAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
ONE_WORKER = {"LENSSCAN_WORKERS": "1"}
"""Settings of a scan of one small tile: each further worker would only start and wait."""


def pages():
    """Return the READMEs, CONTRIBUTING and the written pages of docs/; those that `make docs` generates are left out."""
    generated = {
        DOCS / "reference" / f"{name}.md" for name in ("commands", "settings", "columns", "rejections", "truth", "python")
    }
    readmes = [ROOT / "README.md", *sorted(path for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("README.md"))]
    return [*readmes, ROOT / "CONTRIBUTING.md", *sorted({*DOCS.rglob("*.md")} - generated)]


def blocks(text, language):
    """Return the content of each fenced block of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def shell_lines(text):
    """Return the lines of all `sh` blocks, continued lines joined."""
    joined = "\n".join(blocks(text, "sh")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip()]


def run(command, cwd):
    """Run a program of the tests' environment in a folder; return what it printed."""
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_snippet(code, cwd):
    """Run a Python snippet in a folder; return what it printed. The reader's array `stamps` is that of `desk`."""
    given = 'import numpy\nstamps = numpy.load("stamps.npy")\n' if Path(cwd, "stamps.npy").is_file() else ""
    # Arrow's threads may abort a process at exit (apache/arrow#34314): exit without tearing them down.
    return run([sys.executable, "-c", f"{given}{code}\nimport os, sys\nsys.stdout.flush()\nos._exit(0)"], cwd)
