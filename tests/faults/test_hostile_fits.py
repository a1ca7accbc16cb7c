"""FITS files made to harm their readers: ten thousand mutants in a sandbox."""

import collections
import time
from pathlib import Path

import numpy as np
import pytest

from scanner.sources.cutouts import Cutout, to_cutout
from scanner.sources.tiles import Tile, TileCatalogue, TileError, read_tile_catalogue
from scanner.vocabulary.geometry import Geometry, Grid
from scanner.vocabulary.rejections import Rejection
from tests.faults.harness.mutations import CENTRE, catalogues, images, mutated
from tests.faults.harness.sandbox import sandboxed
from tests.scanner.files.band_files import read_band
from tests.scanner.tile_rows import tile_cutouts

SMALL = Geometry("small", {"VIS": Grid(24, 0.1)})
SOURCE = TileCatalogue(np.array([1]), np.array([CENTRE[0]]), np.array([CENTRE[1]]))


def as_cutout(path):
    image = read_band(path)
    assert image.pixels.dtype == np.float32
    assert image.pixels.ndim == 2
    return to_cutout({"VIS": image}, SMALL)


def as_mosaic(path):
    (row,) = tile_cutouts(Tile("1", {"VIS": path}, ""), SOURCE, SMALL)
    return row


def as_catalogue(path):
    catalogue = read_tile_catalogue(path)
    assert catalogue.object_ids.dtype == np.int64
    assert catalogue.object_ids.shape == catalogue.ra.shape == catalogue.dec.shape
    return f"catalogue of {min(len(catalogue.ra), 7)}"


def outcome(read, path):
    """Return the outcome as a short text; any error other than a Rejection or a TileError is raised."""
    try:
        found = read(path)
    except Rejection as rejection:
        return str(rejection.code)
    except TileError:
        return "tile_error"
    if isinstance(found, Rejection):
        return str(found.code)
    if isinstance(found, Cutout):
        assert np.isfinite(found.stamps["VIS"]).all()
        return "image"
    return found


def read_mutants(folder, first, last):
    """Count the outcomes by reader; runs in the sandbox."""
    files = {"image": list(images().values()), "catalogue": list(catalogues().values())}
    counts = collections.Counter()
    path = Path(folder) / "mutant.fits"
    slowest = 0.0
    for seed in range(int(first), int(last)):
        rng = np.random.default_rng(seed)
        kind = "catalogue" if rng.random() < 0.25 else "image"
        reader = as_catalogue if kind == "catalogue" else (as_cutout, as_mosaic)[rng.integers(2)]
        path.write_bytes(mutated(files[kind][rng.integers(len(files[kind]))], rng))
        begun = time.monotonic()
        try:
            counts[f"{reader.__name__} {outcome(reader, str(path))}"] += 1
        except BaseException as error:
            raise RuntimeError(f"seed {seed}: {reader.__name__}: {error!r}") from error
        slowest = max(slowest, time.monotonic() - begun)
    return {"counts": dict(counts), "slowest_s": slowest}


def check(found, n):
    assert sum(found["counts"].values()) == n
    assert {"as_cutout image", "as_mosaic image", "as_catalogue catalogue of 6"} <= found["counts"].keys()
    assert len(found["counts"]) > 10


@pytest.mark.fault(29)
def test_mutants_are_read_or_rejected_with_a_reason(tmp_path, measured):
    found = sandboxed(__name__, "read_mutants", tmp_path, 0, 300)
    check(found, 300)
    measured(runs=300)


@pytest.mark.faults
@pytest.mark.fault(29)
def test_ten_thousand_mutants_are_read_or_rejected(tmp_path, measured):
    found = sandboxed(__name__, "read_mutants", tmp_path, 1000, 11_000)
    check(found, 10_000)
    measured(runs=10_000, note=f"slowest mutant {found['slowest_s']:.1f} s")
