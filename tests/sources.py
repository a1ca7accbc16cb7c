"""The source files of the product, and what they import."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "simulation", "training", "scanner", "infra")
API = "lensscan.py"
"""The module of the Python API and of the command line's entry point, above all packages."""


def source_files():
    return [ROOT / API, *sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]


def imported_modules(source):
    """Yield the name of every module that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"
