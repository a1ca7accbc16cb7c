"""The Python API as a user meets it: one quick module, four lines, and a clear word about modules of the same name."""

import inspect
import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import lensscan
from infra.errors import LensscanError
from tests.docs.pages import DOCS, ROOT, blocks

LINES = """\
import lensscan

finder = lensscan.load()
print(finder.score(stamps))
finder.explain(stamps).save("why.png")
"""
BANDS = ("VIS", "Y", "J", "H")


def python(*arguments, cwd, path=()):
    """Run Python in a folder, with folders before lensscan's on PYTHONPATH."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def finder():
    return lensscan.load("mer3-sim")


def test_import_is_quick(tmp_path):
    heavy = ("numpy", "torch", "ray", "prefect", "pyarrow", "scanner", "flows")
    code = f"import sys, lensscan; dir(lensscan); print([name for name in {heavy} if name in sys.modules])"
    assert python("-c", code, cwd=tmp_path).stdout == "[]\n"


def test_public_names_exist():
    assert all(hasattr(lensscan, name) for name in lensscan.__all__)
    assert dir(lensscan) == sorted([*lensscan.__all__, "__version__"])
    assert lensscan.LensscanError is LensscanError
    assert re.match(r"\d+\.\d+\.\d+", lensscan.__version__)
    with pytest.raises(AttributeError, match="module lensscan has no attribute 'Findr'"):
        _ = lensscan.Findr


def test_the_four_lines_are_the_same_everywhere():
    """The tests of the pages execute them as they are printed."""
    for page in (ROOT / "README.md", DOCS / "howto" / "arrays.md"):
        assert LINES in blocks(page.read_text(encoding="utf-8"), "python")
    assert textwrap.indent(LINES, "    ") in lensscan.__doc__


def test_a_lens_is_found_and_explained(finder):
    """The score tells the lens with the brightest arcs from an elliptical galaxy, and squares of its map support it."""
    lenses = lensscan.simulate(4, seed=3, kinds="double_ring")
    bright = int(np.argmax([row["arc_snr"] for row in lenses.truth]))
    other = lensscan.simulate(1, seed=3, kinds="elliptical")
    stamps = {band: np.concatenate([lenses.images[band][[bright]], other.images[band]]) for band in BANDS}
    scores = finder.score(stamps)
    assert scores.p_lens[0] > 20 * scores.prevalence
    assert scores.p_lens[1] < scores.prevalence
    assert scores.prevalence == 0.0005
    found = finder.explain({band: images[0] for band, images in stamps.items()})
    assert len(found.maps) == 3
    assert all(one.occlusion.min() < -0.5 for one in found.maps.values())


def test_wrong_arrays_are_refused(finder):
    with pytest.raises(ValueError, match=r"VIS must be \[n, 100, 100\] .*, got \[5, 200, 200\]"):
        finder.score({band: np.ones((5, 200, 200)) for band in BANDS})


def test_an_unknown_ensemble_is_named():
    with pytest.raises(LensscanError, match=r"mer4: no ensemble .* known ensembles: mer3-cascade, mer3-sim, ou7-sim"):
        lensscan.load("mer4")


def test_the_module_is_the_command_line(tmp_path):
    done = python("-m", "lensscan", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, lensscan.__version__, "")
    done = python("-m", "lensscan", "query", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lensscan: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["flows.py", "scanner.py", "infra/__init__.py"])
def test_the_command_names_another_module_on_pythonpath(tmp_path, name):
    """The command line ends in one line, whichever of its packages is hidden."""
    other = write(tmp_path / name)
    done = python("-m", "lensscan", "--version", cwd=ROOT.parent, path=[tmp_path])
    package = name.partition("/")[0].removesuffix(".py")
    place = other.parent if other.name == "__init__.py" else other
    assert done.stderr.startswith(
        f"lensscan: lensscan has a package {package}, but Python finds {place} under that name; rename"
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("name", ["simulation.py", "training/__init__.py"])
@pytest.mark.parametrize("call", ["load()", "simulate(1)", "open_catalogue('x')", "show({})", "Finder"])
def test_a_call_names_another_module_in_the_working_folder(tmp_path, name, call):
    write(tmp_path / name)
    done = python("-c", f"import lensscan; lensscan.{call}", cwd=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: lensscan has a package ")
    assert f"but Python finds {tmp_path}{os.sep}{name.partition('/')[0]} under that name; rename that, or" in last


def test_folders_that_are_no_packages_hide_nothing(tmp_path):
    for name in ("scanner", "lensscan", "lensscan.egg-info"):
        (tmp_path / name).mkdir()
    done = python("-c", "import lensscan; print(lensscan.open_catalogue('x').path)", cwd=tmp_path)
    assert done.stdout.strip() == str(tmp_path / "x")


def write(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("value = 1\n")
    return path


def test_a_module_that_is_imported_already_is_named(tmp_path):
    (tmp_path / "scanner.py").touch()
    code = "import sys; sys.path.insert(0, '.'); import scanner; sys.path.pop(0); import lensscan; lensscan.open_catalogue('x')"
    done = python("-c", code, cwd=tmp_path)
    assert f"Python finds {tmp_path / 'scanner.py'} under that name" in done.stderr


def test_the_entry_point_is_this_module():
    text = (ROOT / "pyproject.toml").read_text()
    assert 'lensscan = "lensscan:main"' in text
    assert 'py-modules = ["lensscan"]' in text
    assert inspect.isfunction(lensscan.main)
