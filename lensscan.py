"""Find strong gravitational lenses in arrays, cutouts and catalogues from Python.

`stamps` is a dict of band to array `[n, y, x]`, or one array `[n, band, y, x]` with the bands VIS, Y, J, H; each stamp has
100 x 100 pixels of 0.1 arcsec with the object in the middle. Is it a lens, and why?

    import lensscan

    finder = lensscan.load()
    print(finder.score(stamps))
    finder.explain(stamps).save("why.png")

`simulate` makes lenses to try this on, `open_catalogue` reads what `lensscan scan` wrote, and `show` draws its candidates. An
error that a user can mend is a `lensscan.LensscanError`; one about arrays, about the rows of `show` or about an argument of
`simulate` is also a ValueError.
"""

# This module imports nothing large, so that it loads at once, and none of lensscan's packages, so that it can report another
# module that has the name of one of them.
from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from infra.errors import LensscanError
    from scanner.catalogue.rows import Rows
    from scanner.review.opened import Catalogue
    from scanner.scan.finder import Explanation, Finder, Scores
    from scanner.vocabulary.choices import GeometryName, PopulationPreset
    from simulation.products.simulated import Simulated

__all__ = [
    "Catalogue",
    "Explanation",
    "Finder",
    "LensscanError",
    "Rows",
    "Scores",
    "Simulated",
    "load",
    "open_catalogue",
    "show",
    "simulate",
]

_CLASSES = {
    "Catalogue": "scanner.review.opened",
    "Explanation": "scanner.scan.finder",
    "Finder": "scanner.scan.finder",
    "LensscanError": "infra.errors",
    "Rows": "scanner.catalogue.rows",
    "Scores": "scanner.scan.finder",
    "Simulated": "simulation.products.simulated",
}
"""Module of each public class; `__getattr__` imports it when a caller names the class."""
_PACKAGES = ("infra", "scanner", "simulation", "training", "flows")


def load(ensemble: str | Path | None = None) -> Finder:
    """Load an ensemble, by its name or the folder of its package; by default the configured one, `mer3-cascade`.

    Raises:
        LensscanError: no ensemble has that name or path, or it is damaged; the message lists the known names.
    """
    _check_packages()
    from flows.ensembles import chosen_package
    from infra.settings import Settings
    from scanner.networks.engines import resolve_engine
    from scanner.networks.locate import known_cards
    from scanner.networks.package import load_scorer
    from scanner.scan.finder import Finder

    folder, settings = chosen_package(None if ensemble is None else str(ensemble)), Settings.read()
    package = load_scorer(folder, resolve_engine(settings.engine), checks_pixels=False)
    return Finder(folder, package, known_cards(settings.ensembles_dir))


def simulate(
    n: int,
    *,
    seed: int = 1,
    kinds: str | Sequence[str] | Mapping[str, float] | None = None,
    geometry: GeometryName = "mer10",
    preset: PopulationPreset = "euclid",
) -> Simulated:
    """Simulate objects in this process, without files; object i depends on the other arguments and i alone.

    Args:
        n: Number of objects, at least 1.
        seed: Seed of everything random, at least 0.
        kinds: Kinds and look-alikes, such as `["single", "spiral"]` or `"single,spiral"`, or their weights, such as
            `{"nonlens": 3, "double_ring": 1}` or `"nonlens=3,double_ring=1"`; by default half of the objects are lenses.
        geometry: `mer10` (10 arcsec, as `mer3-cascade` reads it), `mer` (20 arcsec) or `challenge` (for the paper's networks).
        preset: Population, `euclid`, `broad`, `any_host` or `wilde2022`.

    Raises:
        ValueError: an argument is out of range; the message names it.
    """
    _check_packages()
    from simulation.products.simulated import simulate as run

    return run(n, seed, kinds, geometry, preset)


def open_catalogue(path: str | Path) -> Catalogue:
    """Open a catalogue, a folder or an `s3://` prefix; its files are read when rows are asked for."""
    _check_packages()
    from infra.store.storage import absolute
    from scanner.review.opened import Catalogue

    return Catalogue(absolute(str(path)))


def show(rows: Any) -> Figure:
    """Draw one candidate or several (at most 24): picture, Guided Grad-CAM and occlusion map, with their meaning written below.

    In occlusion maps blue squares support a lens, red ones count against it.

    Args:
        rows: Rows of `Catalogue.candidates`, or one of them as a dict, a pandas series or a row of an Arrow or astropy table;
            or a data frame, a table or a list of rows. A column `truth` is shown in the captions.

    Returns:
        A matplotlib figure, which a notebook shows; `savefig` writes it to a file.

    Raises:
        ValueError: there are no rows or too many, or they lack the columns of maps.
    """
    _check_packages()
    from scanner.explain.candidate_rows import as_mappings
    from scanner.explain.candidate_sheet import candidate_sheet

    return candidate_sheet(as_mappings(rows))


def main() -> None:
    """Run the command line; `python -m lensscan` does, too."""
    try:
        _check_packages()
    except ImportError as error:
        sys.stderr.write(f"lensscan: {error}\n")
        sys.exit(2)
    from flows.cli.main import main as run

    run()


def __getattr__(name: str) -> Any:
    """Import a class when a caller names it, so that `import lensscan` stays quick."""
    if name == "__version__":
        return importlib.metadata.version("lensscan")
    if name not in _CLASSES:
        raise AttributeError(f"module lensscan has no attribute {name!r}")
    _check_packages()
    return getattr(importlib.import_module(_CLASSES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _check_packages() -> None:
    """Raise ImportError if Python finds another module under the name of one of lensscan's packages."""
    home = Path(__file__).resolve().parent
    for name in _PACKAGES:
        found = _place_of(name)
        if found is None:
            raise ImportError(f"lensscan is not complete: there is no package {name} in {home}; install it again")
        if found.resolve().parent != home:
            raise ImportError(
                f"lensscan has a package {name}, but Python finds {found} under that name; rename that, or start Python where "
                "neither the working folder nor PYTHONPATH holds it"
            )


def _place_of(name: str) -> Path | None:
    """Return the file of a module or the folder of a package, imported or not."""
    module = sys.modules.get(name)
    spec = importlib.util.find_spec(name) if module is None else getattr(module, "__spec__", None)
    origin = spec.origin if spec else getattr(module, "__file__", None)
    if origin:
        return Path(origin).parent if Path(origin).name == "__init__.py" else Path(origin)
    return next((Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()), None)


if __name__ == "__main__":
    main()
