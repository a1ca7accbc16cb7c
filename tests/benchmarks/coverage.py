"""`make coverage`: the joint coverage of the presets' visible lenses; writes COVERAGE.md beside this file.

Each property alone may look covered while a combination is missing, so cells of all five properties are counted together.
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

RESULTS = Path(__file__).with_name("COVERAGE.md")
LEAST_SHARE = 1e-3
"""Share of the lenses from which on a cell counts as covered: 200 of 200 000 lenses."""


@dataclass(frozen=True)
class Property:
    """A truth column, its name for people, and the edges of its bins; each bin begins with its lower edge."""

    column: str
    name: str
    edges: tuple[float, ...]
    is_count: bool = False

    @property
    def labels(self) -> list[str]:
        if self.is_count:
            return [*(f"{n:g}" for n in (0, *self.edges[:-1])), f">= {self.edges[-1]:g}"]
        inner = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(self.edges)]
        return [f"< {self.edges[0]:g}", *inner, f">= {self.edges[-1]:g}"]


FLUX_RATIO = Property("arc_to_lens_flux", "flux of the arcs over that of the lens", (0.1, 0.3, 0.8))
SNR = Property("arc_snr", "S/N of the arcs", (50, 150, 300))
INSIDE = Property("n_galaxies_inside", "galaxies of the group inside the Einstein radius", (1, 2, 3), is_count=True)
RADIUS = Property("einstein_radius1_arcsec", "Einstein radius in arcsec", (0.8, 1.3, 2))
COLOUR = Property("source1_vis_minus_h", "VIS - H of the source in mag", (0.8, 1.8))
PROPERTIES = (FLUX_RATIO, SNR, INSIDE, RADIUS, COLOUR)
SHOWN = ((FLUX_RATIO, SNR), (FLUX_RATIO, RADIUS), (INSIDE, RADIUS), (COLOUR, FLUX_RATIO))
"""Pairs of properties whose joint shares are tables."""


def lenses_of(folder: Path) -> pa.Table:
    """Return the truth of the lenses in a folder of shards.

    Raises:
        ValueError: the folder holds no lens.
    """
    columns = ["kind", "lens_mag_vis", *(of.column for of in PROPERTIES)]
    tables = [pq.read_table(path, columns=columns) for path in sorted(folder.glob("*.parquet"))]
    truth = pa.concat_tables(tables) if tables else pa.table({"kind": pa.array([], pa.string())})
    lenses = truth.filter(pa.compute.not_equal(truth["kind"], "nonlens"))
    if not len(lenses):
        raise ValueError(f"needs shards with lenses, got none in {folder}")
    return lenses


def bins_of(lenses: pa.Table, of: Property) -> NDArray[np.int64]:
    """Return the bin `[lens]` of each lens."""
    return np.digitize(lenses[of.column].to_numpy().astype(float), of.edges)


def joint_shares(lenses: pa.Table, first: Property, second: Property) -> NDArray[np.float64]:
    """Return the share of the lenses in each cell, `[first, second]`."""
    counts = np.zeros((len(first.labels), len(second.labels)))
    np.add.at(counts, (bins_of(lenses, first), bins_of(lenses, second)), 1)
    return counts / len(lenses)


def covered_cells(lenses: pa.Table) -> int:
    """Return the number of cells of all properties together that hold at least `LEAST_SHARE` of the lenses."""
    counts = Counter(zip(*(bins_of(lenses, of).tolist() for of in PROPERTIES), strict=True))
    return sum(count >= LEAST_SHARE * len(lenses) for count in counts.values())


def rare_shares(lenses: pa.Table) -> dict[str, float]:
    """Return the shares of lenses that a forecast makes rare and that look like other galaxies."""
    ratio, snr, inside, radius, mag = (
        lenses[name].to_numpy().astype(float)
        for name in (*(of.column for of in (FLUX_RATIO, SNR, INSIDE, RADIUS)), "lens_mag_vis")
    )
    return {
        "arcs of over 0.8 of the flux of a lens brighter than 21 mag": float(np.mean((ratio > 0.8) & (mag < 21))),
        "arcs of S/N over 300 and over 0.4 of the lens's flux": float(np.mean((snr > 300) & (ratio > 0.4))),
        "two or more galaxies inside the Einstein radius": float(np.mean(inside >= 2)),
        "Einstein radius over 2 arcsec": float(np.mean(radius > 2)),
        "lens fainter than 22 mag": float(np.mean(mag > 22)),
    }


def markdown(presets: Mapping[str, pa.Table]) -> str:
    """Return the tables of the presets beside one another."""
    return "\n".join(_lines(presets)) + "\n"


def _lines(presets: Mapping[str, pa.Table]) -> Iterator[str]:
    n_cells = int(np.prod([len(of.labels) for of in PROPERTIES]))
    yield "# Joint coverage of the presets\n"
    yield "Written by `make coverage`. Shares of the visible lenses of each preset, in per cent.\n"
    yield _row("lenses", *presets)
    yield _row("---", *["---:"] * len(presets))
    yield _row("number", *(str(len(lenses)) for lenses in presets.values()))
    for name in rare_shares(next(iter(presets.values()))):
        yield _row(name, *(_percent(rare_shares(lenses)[name]) for lenses in presets.values()))
    cells = (f"{covered_cells(lenses)} of {n_cells}" for lenses in presets.values())
    yield _row(f"cells of all five properties with at least {LEAST_SHARE:.1%} of the lenses", *cells)
    for first, second in SHOWN:
        yield f"\n## {first.name[0].upper()}{first.name[1:]}, and {second.name}\n"
        head = [f"{preset}: {label}" for preset in presets for label in second.labels]
        yield _row(first.name, *head)
        yield _row("---", *["---:"] * len(head))
        shares = [joint_shares(lenses, first, second) for lenses in presets.values()]
        for i, label in enumerate(first.labels):
            yield _row(label, *(_percent(share) for of_preset in shares for share in of_preset[i]))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="+", metavar="PRESET=FOLDER", help="shards of each preset")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    named = dict(given.split("=", 1) for given in arguments.presets)
    try:
        tables = {preset: lenses_of(Path(folder)) for preset, folder in named.items()}
    except ValueError as error:
        parser.error(str(error))
    arguments.out.write_text(markdown(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
