"""Imports go one way, lensscan -> flows -> {simulation, training} -> scanner -> infra; only shells import Ray and Prefect."""

from pathlib import Path

import pytest

from tests.sources import API, PACKAGES, ROOT, imported_modules, source_files

ALLOWED = {
    API: set(PACKAGES),
    "flows": {"flows", "simulation", "training", "scanner", "infra"},
    "simulation": {"simulation", "scanner", "infra"},
    "training": {"training", "scanner", "infra"},
    "scanner": {"scanner", "infra"},
    "infra": {"infra"},
}
ALLOWED_ROOMS = {
    "scanner": {
        "vocabulary": set(),
        "files": {"vocabulary"},
        "preprocess": {"vocabulary"},
        "sources": {"files", "preprocess", "vocabulary"},
        "networks": {"preprocess", "purity", "vocabulary"},
        "explain": {"networks", "preprocess", "vocabulary"},
        "catalogue": {"completeness", "purity", "sources", "vocabulary"},
        "hats": {"catalogue"},
        "review": {
            *("catalogue", "completeness", "explain", "hats", "networks", "preprocess", "purity", "stability", "vocabulary"),
        },
        "scan": {"catalogue", "explain", "networks", "sources", "vocabulary"},
        "quality": {"catalogue", "completeness", "explain", "preprocess", "scan", "sources", "stability", "vocabulary"},
        "workers": {"scan", "catalogue", "networks", "purity", "vocabulary"},
    },
    "simulation": {
        "population": {"lensing", "systems"},
        "optics": {"systems"},
        "textures": {"systems"},
        "products": {"population", "optics", "lensing", "systems", "textures"},
        "injection": {"products", "population", "optics", "lensing", "run", "simulator", "systems"},
    },
    "training": {"evaluation": {"errors"}, "reproduction": {"checkpoint", "errors", "evaluation", "tsne"}},
    "infra": {
        "deploy": {"errors", "telemetry"},
        "ray": {"calls", "errors", "private_apis", "settings", "telemetry", "worker_pool"},
        "store": {"errors", "read_ahead", "steps"},
    },
    "flows": {
        "cli": {"commands", "demo", "ensembles", "scan_night", "server_errors", "simulate", "terminal", "train"},
        "commands": {"ensembles"},
    },
}
"""Maps package and room (subpackage) to what the room may import from its package: other rooms, and files beside the rooms."""
SHELLS = {
    *("training/trainer.py", "infra/private_apis.py", "scanner/hats/night_tasks.py"),
    *("infra/ray/actor_pool.py", "infra/ray/calls.py", "infra/ray/cluster.py", "infra/ray/jobs.py", "infra/ray/nodes.py"),
    "scanner/workers/ray_metrics.py",
}
"""Files that may import Ray, besides actors and flows."""
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
NUMERICS = {"numpy", "scipy", "pandas", "torch"}
"""Packages that the flows and commands leave to the packages below them."""
MAX_LINES = 400


def is_shell(relative):
    """Return whether this file may import ray or prefect."""
    return relative.parts[0] == "flows" or relative.name == "actors.py" or str(relative) in SHELLS


def offences(relative, source):
    """Yield the imports in a source that a file of this path must not make."""
    package = relative.parts[0]
    room = relative.parts[1] if len(relative.parts) > 2 else None
    for module in imported_modules(source):
        top, *rest = module.split(".")
        if (
            module.startswith(".")
            or (top in {"lensscan", *PACKAGES} and top not in ALLOWED[package])
            or (top in {"ray", "prefect"} and not is_shell(relative))
            or (top == package and room is not None and [*rest, ""][0] not in {room, *ALLOWED_ROOMS[package][room]})
            or (package == "flows" and top in NUMERICS)
            or top in PICKLES
        ):
            yield f"{relative} imports {module}"


def test_imports_follow_the_arrows():
    files = {path.relative_to(ROOT): path.read_text() for path in source_files()}
    assert {relative.parts[0] for relative in files} == {API, *PACKAGES}
    assert [found for relative, source in files.items() for found in offences(relative, source)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_its_arrows(package):
    assert {path.parent.name for path in (ROOT / package).glob("*/__init__.py")} == set(ALLOWED_ROOMS[package])


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_between_rooms_form_no_cycle(package):
    left = {room: set(others) & set(ALLOWED_ROOMS[package]) for room, others in ALLOWED_ROOMS[package].items()}
    while left:
        last = {room for room, others in left.items() if not others & set(left)}
        assert last, f"cyclic imports among {sorted(left)}"
        left = {room: others for room, others in left.items() if room not in last}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("infra/store/storage.py", "import scanner.workers.run"),
        ("flows/cli/main.py", "import lensscan"),
        ("lensscan.py", "def load():\n    import ray"),
        ("scanner/scan/unit.py", "from training import fit"),
        ("scanner/scan/unit.py", "from ray import remote"),
        ("scanner/files/fits_image.py", "from scanner.networks.card import Card"),
        ("scanner/catalogue/plan.py", "from scanner import scan"),
        ("scanner/catalogue/plan.py", "from . import ledger"),
        ("simulation/products/render.py", "def late():\n    import training.fit"),
        ("training/step.py", "import prefect"),
        ("flows/cli/main.py", "import pickle"),
        ("flows/commands/evaluate.py", "from numpy.typing import NDArray"),
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
def test_an_import_along_the_arrows_is_allowed(path, line):
    assert list(offences(Path(path), line)) == []


def test_files_stay_readable():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in source_files()}
    assert {path: n for path, n in lines.items() if n > MAX_LINES} == {}


def test_the_vocabulary_is_light():
    """The vocabulary imports numpy only, because everything else imports it."""
    for path in (ROOT / "scanner" / "vocabulary").glob("*.py"):
        modules = set(imported_modules(path.read_text()))
        assert {m.split(".")[0] for m in modules} <= {
            "collections",
            "dataclasses",
            "enum",
            "types",
            "typing",
            "numpy",
            "scanner",
        }


def test_only_commands_audit_a_catalogue():
    for path in source_files():
        if path.parts[-2] != "audit" and "flows" not in path.relative_to(ROOT).parts:
            text = path.read_text()
            # Parsed only if the text has the name at all.
            found = imported_modules(text) if "scanner.catalogue.audit" in text else ()
            assert not [m for m in found if m.startswith("scanner.catalogue.audit")], path
