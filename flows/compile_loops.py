"""Compile the loops over pixels while `make` installs: the first run then finds them in the cache of compiled code.

A small night is simulated and scanned, because only a call tells the compiler the types of a loop's arguments.
"""

import sys
import tempfile
from pathlib import Path

from flows.demo import scanned
from flows.terminal import print_text, terminal_progress
from infra.errors import LensscanError
from scanner.workers.run import NightSummary
from simulation.products.survey_tile import TileSpec
from simulation.run import simulate_night

SMALL = TileSpec(tile_id="100000001", n_galaxies=12, n_single=1, n_compound=1, side_pixels=900, seed=11)


def compile_loops(folder: Path) -> NightSummary:
    """Simulate one small tile under `folder`, scan it, and return the summary of the scan.

    One process compiles everything: two would compile the same loops at the same time.
    """
    tiles = str(folder / "tiles")
    with terminal_progress("compiling") as report:
        simulate_night((SMALL,), tiles, 1, report)
    return scanned(tiles, str(folder / "catalogue"), as_flow=False, quiet=True)


def main() -> int:
    """Compile in a folder that is removed afterwards."""
    print_text("compiling loops once, about 15 s")
    try:
        with tempfile.TemporaryDirectory() as folder:
            compile_loops(Path(folder))
    except (LensscanError, OSError) as error:
        sys.stderr.write(f"lensscan: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
