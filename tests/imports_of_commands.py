"""The libraries that a command imports."""

import subprocess
import sys

HEAVY = (
    "torch", "ray", "prefect", "lenstronomy", "pyarrow", "astropy", "numpy", "scipy", "numba", "duckdb", "matplotlib", "pandas"
)  # fmt: skip
"""Libraries that take longer to import than a light command takes."""


def heavy_imports(*arguments):
    """Run `lensscan` in a new process, and return which of `HEAVY` it imported."""
    code = (
        "import sys, flows.cli.main as main\n"
        f"sys.argv = {['lensscan', *arguments]!r}\n"
        "try: code = main._run()\n"
        "except SystemExit as end: code = end.code or 0\n"
        f"print(code, *(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, *found = done.stdout.splitlines()[-1].split()
    assert code == "0", done
    return set(found)
