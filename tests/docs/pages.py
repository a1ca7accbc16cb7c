"""Read code blocks out of the pages of the documentation, and run them."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.sources import PACKAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
ONE_WORKER = {"LENSSCAN_WORKERS": "1"}
"""Settings of a scan of one small tile: each further worker would only start and wait."""


def pages():
    """Return the READMEs, CONTRIBUTING and the written pages of docs/; those that `make docs` generates are left out."""
    generated = {
        DOCS / "reference" / f"{name}.md"
        for name in ("commands", "settings", "columns", "metrics", "rejections", "sources", "truth", "python")
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
    """Run a Python snippet in a folder, in this process, which has its imports; return what it printed.

    If the folder holds `stamps.npy`, the snippet finds this array under the name `stamps`.
    """
    stamps = Path(cwd, "stamps.npy")
    given = {"stamps": np.load(stamps)} if stamps.is_file() else {}
    with contextlib.chdir(cwd), contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "snippet", "exec"), given)  # noqa: S102 - the code is that of the pages
    return out.getvalue()
