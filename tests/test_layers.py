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
}
"""Room of the scanner to the rooms that it imports; the files beside the rooms stand on top of them and import any."""
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
MAX_LINES = 400


def source_files():
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported_modules(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def is_shell(relative):
    """May this file import ray or prefect?"""
    return (
        relative.parts[0] == "flows"
        or relative.name == "actors.py"
        or str(relative) in {"training/trainer.py", "infra/ray/cluster.py", "infra/ray/actor_pool.py"}
    )


def offences(relative, source):
    """Imports that a file of this path may not make."""
    package = relative.parts[0]
    room = relative.parts[1] if package == "scanner" and len(relative.parts) > 2 else None
    for module in imported_modules(source):
        top, *rest = module.split(".")
        if (
            module.startswith(".")
            or (top in PACKAGES and top not in ALLOWED[package])
            or (top in {"ray", "prefect"} and not is_shell(relative))
            or (top == "scanner" and room is not None and [*rest, ""][0] not in ALLOWED_IN_SCANNER[room])
            or top in PICKLES
        ):
            yield f"{relative} imports {module}"


def test_imports_follow_the_arrows():
    files = {path.relative_to(ROOT): path.read_text() for path in source_files()}
    assert {relative.parts[0] for relative in files} == set(PACKAGES)
    assert [found for relative, source in files.items() for found in offences(relative, source)] == []


def test_every_room_of_the_scanner_has_its_arrows():
    assert {path.parent.name for path in (ROOT / "scanner").glob("*/__init__.py")} == set(ALLOWED_IN_SCANNER)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("infra/store/storage.py", "import scanner.workers.run"),
        ("scanner/scan/unit.py", "from training import fit"),
        ("scanner/scan/unit.py", "from ray import remote"),
        ("scanner/files/fits_image.py", "from scanner.networks.card import Card"),
        ("scanner/catalogue/plan.py", "from scanner import scan"),
        ("scanner/catalogue/plan.py", "from . import ledger"),
        ("simulation/products/render.py", "def late():\n    import training.fit"),
        ("training/step.py", "import prefect"),
        ("flows/cli/main.py", "import pickle"),
    ],
)
def test_an_import_against_the_arrows_is_found(path, line):
    assert len(list(offences(Path(path), line))) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("flows/cli/main.py", "import prefect, simulation.products.render, scanner.workers.run, infra.store.storage"),
        ("scanner/workers/actors.py", "import ray\nfrom scanner.catalogue import plan"),
        ("scanner/explain/gradcam.py", "from scanner.networks.card import Card\nfrom scanner.vocabulary.bands import EUCLID"),
    ],
)
def test_an_import_along_the_arrows_is_none(path, line):
    assert list(offences(Path(path), line)) == []


def test_files_stay_readable():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in source_files()}
    assert {path: n for path, n in lines.items() if n > MAX_LINES} == {}


def test_the_vocabulary_is_light():
    """What everything else imports needs numpy and pyarrow only."""
    for name in ("bands", "geometry", "rejections"):
        modules = set(imported_modules((ROOT / "scanner" / "pixels" / f"{name}.py").read_text()))
        assert {m.split(".")[0] for m in modules} <= {"collections", "dataclasses", "enum", "types", "numpy", "scanner"}
