"""Real HST lenses as Euclid would see them, and their twins: the same systems with the arcs taken out.

The systems are split once, by a hash of their names, into thirds: to train, to decide and to report.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.benchmarks.probe_stamps import Stamp, as_stamp

BANDS = ("VIS", "Y", "J", "H")
THIRDS = ("train", "decide", "report")


def hst_stamps(folder: Path) -> Iterator[Stamp]:
    """Yield lenses, as `hst clear` and `hst faint`, and their twins, named `<third> <system>`; none if the files are absent."""
    if not (folder / "hst_lenses.npz").is_file():
        return
    data = np.load(folder / "hst_lenses.npz")
    images = data["x"].astype(np.float32) * data["s0"]
    with (folder / "hst_lenses.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    thirds = thirds_of({row["name"] for row in rows})
    for row, image in zip(rows, images, strict=True):
        group = "hst twin" if row["kind"] == "twin" else f"hst {row['visible']}"
        yield as_stamp(group, f"{thirds[row['name']]} {row['name']}", dict(zip(BANDS, image, strict=True)))


def thirds_of(names: set[str]) -> dict[str, str]:
    """Map each system to its third, which depends on the set of names alone."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return {name: THIRDS[rank % len(THIRDS)] for rank, name in enumerate(ordered)}
