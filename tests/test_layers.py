"""Imports go one way: flows -> {simulation, training} -> scanner -> infra, and Ray and Prefect stay in their shells."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("flows", "simulation", "training", "scanner", "infra")
ALLOWED = {
    "flows": {"flows", "simulation", "training", "scanner", "infra"},
    "simulation": {"simulation", "scanner", "infra"},
    "training": {"training", "scanner", "infra"},
    "scanner": {"scanner", "infra"},
    "infra": {"infra"},
}
ALLOWED_IN_SCANNER = {
    "pixels": {"pixels"},
    "networks": {"networks", "pixels"},
    "explain": {"explain", "networks", "pixels"},
    "catalogue": {"catalogue", "pixels"},
    "review": {"review", "catalogue", "pixels"},
}
MAX_LINES = 400


def source_files():
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def is_shell(relative):
    """May this file import ray or prefect?"""
    return (
        relative.parts[0] == "flows"
        or relative.name == "actors.py"
        or str(relative) in {"training/trainer.py", "infra/cluster.py", "infra/actor_pool.py"}
    )


@pytest.mark.parametrize("path", source_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows(path):
    relative = path.relative_to(ROOT)
    package = relative.parts[0]
    for module in imported_modules(path):
        top, *rest = module.split(".")
        if top in PACKAGES:
            assert top in ALLOWED[package], f"{relative} imports {module}"
        if top in {"ray", "prefect"}:
            assert is_shell(relative), f"{relative} imports {module}"
        if top == "scanner" and package == "scanner" and len(relative.parts) > 2:
            room = relative.parts[1]
            assert [*rest, "nothing"][0] in ALLOWED_IN_SCANNER[room], f"{relative} imports {module}"
        assert top not in {"pickle", "cloudpickle", "joblib"}, f"{relative} imports {module}"


@pytest.mark.parametrize("path", source_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_readable(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_the_vocabulary_is_light():
    """What everything else imports needs numpy and pyarrow only."""
    for name in ("bands", "geometry", "rejections"):
        modules = set(imported_modules(ROOT / "scanner" / "pixels" / f"{name}.py"))
        assert {m.split(".")[0] for m in modules} <= {"collections", "dataclasses", "enum", "types", "numpy", "scanner"}
