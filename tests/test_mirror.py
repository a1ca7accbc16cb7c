"""Tests mirror the rooms, share nothing with one another, and have short names."""

import re
from pathlib import Path

from tests.sources import API, PACKAGES, ROOT, imported_modules

MAX_LINES = 80
"""Largest number of lines of a source file that needs no test file of its own."""
MAX_WORDS = 10


def names_of_tests(source):
    return re.findall(r"^ *(?:async )?def (test_\w+)", source, flags=re.MULTILINE)


def without_test(root):
    """Return the paths of the long source files under `root` that have no test file of their name."""
    sources = [path.relative_to(root) for package in PACKAGES for path in (root / package).rglob("*.py")]
    sources += [Path(API)] if (root / API).is_file() else []
    long = [path for path in sources if len((root / path).read_text().splitlines()) > MAX_LINES]
    return {str(path) for path in long if not (root / "tests" / path.with_name(f"test_{path.name}")).is_file()}


def test_every_long_source_file_has_its_test_file():
    assert sorted(without_test(ROOT)) == []


def test_test_names_have_at_most_ten_words():
    names = [name for path in (ROOT / "tests").rglob("test_*.py") for name in names_of_tests(path.read_text())]
    assert [name for name in names if len(name.split("_")) - 1 > MAX_WORDS] == []


def test_no_test_file_imports_another():
    texts = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    # Parsed only if the text has such a name at all.
    modules = {m for text in texts if ".test_" in text for m in imported_modules(text)}
    assert {m for m in modules if m.startswith("tests.") and ".test_" in m} == set()


def test_a_long_file_without_its_test_file_is_found(tmp_path):
    for name, n_lines in {"long": 81, "short": 80, "tested": 81}.items():
        source = tmp_path / "scanner" / "files" / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("pass\n" * n_lines)
    tests = tmp_path / "tests" / "scanner" / "files"
    tests.mkdir(parents=True)
    (tests / "test_tested.py").touch()
    (tests.parent / "test_long.py").touch()
    assert without_test(tmp_path) == {"scanner/files/long.py"}
