"""A scanned night of simulated tiles, for the tests of what is injected into it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from scanner.catalogue.plan import Plan, load_plan
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest
from scanner.workers.run import scan_night
from simulation.injection.night import NightInjection, inject_into_night
from simulation.products.survey_tile import TileSpec, simulate_tile

NIGHT = "2026-11-24"
PACKAGE = SHIPPED_DIR / "mer3-cascade"


@dataclass(frozen=True)
class ScannedNight:
    root: str
    tiles: Path
    plan: Plan


def scan_tiles(folder, n_tiles=2, n_galaxies=110, root=None):
    """Simulate and scan tiles; return the night."""
    for number in range(n_tiles):
        spec = TileSpec(tile_id=f"10200000{number + 1}", n_galaxies=n_galaxies, n_single=3, side_pixels=1000, seed=5)
        simulate_tile(spec, str(folder / "tiles"))
    return scan_there(folder, root)


def scan_there(folder, root=None):
    """Scan the tiles of a folder; return the night."""
    root = root or str(folder / "catalogue")
    request = ScanRequest(
        input_uri=str(folder / "tiles"), night=date.fromisoformat(NIGHT), package=PACKAGE, maps_per_unit=0, engine="openvino"
    )
    summary = scan_night(request, root)
    return ScannedNight(root, folder / "tiles", load_plan(root, summary.plan_id))


def inject(night, n=12, seed=1, workers=1, package_of=lambda _: PACKAGE, progress=lambda *_: None, **changes):
    """Inject lenses into the night; return them, and whether they were made now."""
    wanted = NightInjection(night.root, NIGHT, n=n, seed=seed, engine="openvino", **changes)
    return inject_into_night(wanted, package_of, workers, progress)
