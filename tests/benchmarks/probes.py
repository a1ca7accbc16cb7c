"""`make probes`: what ensembles make of real Euclid images, in numbers.

The few real lenses here are for checking, not for fitting anything. Negatives are cut from the outskirts of their fields;
more pairs come from painting arcs about real galaxies, and from erasing arcs: the asymmetric light of a lens is replaced by
what lies opposite. Scores are those of `lensscan score`. Writes `probes.json` beside this file.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from infra.settings import Settings
from scanner.networks.locate import find_package
from scanner.networks.package import load_package
from scanner.pixels.bands import EUCLID
from scanner.pixels.cutouts import BandImage, Cutout, to_cutout
from scanner.pixels.geometry import MER
from scanner.pixels.rejections import Rejection
from scanner.scan import CutoutScanner
from simulation.injection import InjectionError, inject_arcs
from simulation.observation import Conditions, add_noise
from simulation.render import simulate_object
from tests.benchmarks.realism import REAL, Field, read_field, robust_sky

RESULTS = Path(__file__).with_name("probes.json")
SIDE_PIXELS = 200
MIN_DISTANCE_PIXELS = 65
"""From a lens at the centre: nothing of it lies on the middle 10 arcsec of a stamp then."""
EDGE_PIXELS = 30
N_BLANK = 8
N_INJECTIONS = 8
"""Of each host, a third of each kind."""
N_SIMULATED_PAIRS = 150
BRIGHT_VIS_MAG = 22.5
SEED = 77


@dataclass(frozen=True)
class Stamp:
    """A place in a field, or an image of its own."""

    group: str
    name: str
    bands: Mapping[str, BandImage]


def cut(field: Mapping[str, NDArray], y: int, x: int) -> dict[str, BandImage]:
    """`SIDE_PIXELS` a side about a pixel; what lies beyond the field is marked so."""
    bands = {}
    for band, image in field.items():
        padded = np.pad(np.asarray(image, np.float32), SIDE_PIXELS // 2)
        outside = np.pad(np.zeros(image.shape, bool), SIDE_PIXELS // 2, constant_values=True)
        box = np.s_[y : y + SIDE_PIXELS, x : x + SIDE_PIXELS]
        bands[band] = BandImage(padded[box], 0.1, outside[box])
    return bands


def galaxies(field: Field) -> list[tuple[int, int, float]]:
    """`(y, x, VIS magnitude within 1 arcsec)` of what stands out of VIS away from the centre and the edges."""
    vis = field["VIS"]
    level, sigma = robust_sky(vis)
    smooth = gaussian_filter(np.where(vis == 0, level, vis) - level, 1.5)
    peaks = (smooth == maximum_filter(smooth, 21)) & (smooth > 4 * sigma / 4)
    n = len(vis)
    yy, xx = np.mgrid[:n, :n]
    found = []
    for y, x in np.argwhere(peaks):
        if max(abs(y - n / 2), abs(x - n / 2)) < MIN_DISTANCE_PIXELS or min(y, x, n - y, n - x) < EDGE_PIXELS:
            continue
        near = np.hypot(yy - y, xx - x) < 10
        flux = (vis[near] - level).sum()
        if flux > 0 and np.mean(vis[near] == 0) < 0.05:
            found.append((int(y), int(x), float(EUCLID["VIS"].zero_point_ab_mag - 2.5 * np.log10(flux))))
    return found


def blanks(field: Field, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Places with the least light within 2 arcsec."""
    vis = field["VIS"]
    level, _ = robust_sky(vis)
    light = gaussian_filter(np.where(vis == 0, 1e3, vis) - level, 10)
    n = len(vis)
    places = rng.integers(EDGE_PIXELS, n - EDGE_PIXELS, (400, 2))
    far = [(int(y), int(x)) for y, x in places if max(abs(y - n / 2), abs(x - n / 2)) >= MIN_DISTANCE_PIXELS]
    return sorted(far, key=lambda p: light[p])[:: max(len(far) // 40, 1)][:N_BLANK]


def erased(images: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The image with light that has no counterpart opposite the centre replaced by what is there."""
    made = {}
    for band, image in images.items():
        level, sigma = robust_sky(np.asarray(image, float))
        opposite = np.asarray(image)[::-1, ::-1]
        excess = gaussian_filter(np.asarray(image, float) - opposite, 1.0)
        noise = sigma * np.sqrt(1 + np.maximum(gaussian_filter(np.asarray(image, float) - level, 2.0), 0) / (30 * sigma))
        weight = gaussian_filter((excess > 1.0 * noise).astype(float), 1.0)
        made[band] = np.asarray(image - np.minimum(2 * weight, 1) * np.maximum(image - opposite, 0), np.float32)
    return made


def centred(field: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The field moved so that the brightest VIS pixel near its middle is the middle pixel of an odd image."""
    vis = gaussian_filter(np.asarray(field["VIS"], float), 1.0)
    n = len(vis)
    box = vis[n // 2 - 8 : n // 2 + 8, n // 2 - 8 : n // 2 + 8]
    y, x = (int(p) + n // 2 - 8 for p in np.unravel_index(box.argmax(), box.shape))
    half = min(y, x, n - 1 - y, n - 1 - x, 70)
    return {band: np.asarray(image)[y - half : y + half + 1, x - half : x + half + 1] for band, image in field.items()}


def as_stamp(group: str, name: str, images: Mapping[str, NDArray]) -> Stamp:
    return Stamp(group, name, {band: BandImage(np.asarray(image, np.float32), 0.1) for band, image in images.items()})


def jackpot(folder: Path, rng: np.random.Generator) -> Stamp:
    """SDSSJ0946+1006 from HST as Euclid would see it at VIS 18: its seeing, pixels and noise, in one colour."""
    data = np.nan_to_num(fits.getdata(folder / "jackpot" / "data.fits").astype(float))
    n = len(data) // 2 * 2
    fine = data[:n, :n] * (10 ** (-0.4 * (18.0 - 24.6)) / np.clip(data, 0, None).sum())
    clean = {}
    for band in EUCLID:
        # From HST's 0.1 arcsec to Euclid's seeing, in pixels of 0.05 arcsec.
        blurred = gaussian_filter(fine, np.sqrt(max(EUCLID[band].psf_fwhm_arcsec ** 2 - 0.1**2, 0.0)) / 2.3548 / 0.05)
        image = blurred.reshape(n // 2, 2, n // 2, 2).sum(axis=(1, 3))
        colour = {"VIS": 0.0, "Y": 1.0, "J": 1.25, "H": 1.5}[band]
        image = image * 10 ** (0.4 * (EUCLID[band].zero_point_ab_mag - EUCLID["VIS"].zero_point_ab_mag + colour))
        clean[band] = np.pad(image, (SIDE_PIXELS - n // 2 + 1) // 2)[:SIDE_PIXELS, :SIDE_PIXELS].astype(np.float32)
    return as_stamp("lens", "jackpot", add_noise(clean, MER, Conditions.nominal(0.0), rng))


def real_stamps(folder: Path) -> Iterator[Stamp]:
    """Lenses, erased lenses, galaxies, blank places, and real hosts without and with arcs."""
    rng = np.random.default_rng(SEED)
    yield jackpot(folder, rng)
    for path in sorted(folder.glob("*.fits")):
        field, name = read_field(path), path.stem[:18]
        yield as_stamp("lens", name, field)
        lens = centred(field)
        yield as_stamp("centred lens", name, lens)
        yield as_stamp("erased lens", name, erased(lens))
        if len(field["VIS"]) < SIDE_PIXELS:
            continue
        for y, x in blanks(field, rng):
            yield Stamp("blank", f"{name} {y} {x}", cut(field, y, x))
        for y, x, mag in galaxies(field):
            yield Stamp("bright" if mag < BRIGHT_VIS_MAG else "faint", f"{name} {y} {x} {mag:.1f}", cut(field, y, x))
            if mag < BRIGHT_VIS_MAG + 0.5:
                yield from injected(field, name, y, x, rng)


def injected(field: Field, name: str, y: int, x: int, rng: np.random.Generator) -> Iterator[Stamp]:
    for i in range(N_INJECTIONS):
        kind = ("single", "compound_arc", "double_ring")[i % 3]
        images = {band: np.asarray(image, np.float32) for band, image in field.items()}
        try:
            made = inject_arcs(images, kind, rng, host_yx=(float(y), float(x)))
        except InjectionError:
            continue
        where = f"{name} {y} {x} {i}"
        yield Stamp("host", where, cut(field, y, x))
        yield Stamp("injected", where, cut(made.stamps, y, x))


def simulated_pairs() -> Iterator[Stamp]:
    """Simulated lenses, and the same with their asymmetric light erased."""
    for i in range(N_SIMULATED_PAIRS):
        made = simulate_object(("single", "compound_arc", "double_ring")[i % 3], MER, np.random.default_rng([SEED, i]))
        lens = centred(made.stamps)
        yield as_stamp("simulated lens", str(i), lens)
        yield as_stamp("erased simulated lens", str(i), erased(lens))


def scores(ensemble: str, stamps: list[Stamp]) -> dict[str, dict[str, float]]:
    """Group to name to log odds of p_lens."""
    settings = Settings.read()
    loaded = load_package(find_package(ensemble, settings.ensembles_dir))
    rows: list[Cutout] = []
    kept: list[Stamp] = []
    for stamp in stamps:
        try:
            rows.append(to_cutout(stamp.bands, loaded.geometry))
        except Rejection as rejection:
            sys.stderr.write(f"{stamp.group} {stamp.name}: {rejection}\n")
            continue
        kept.append(stamp)
    p = CutoutScanner(loaded).score(rows)["p_lens"].to_numpy().astype(float)
    found: dict[str, dict[str, float]] = {}
    for stamp, value in zip(kept, p, strict=True):
        found.setdefault(stamp.group, {})[stamp.name] = float(np.log(np.maximum(value, 1e-30) / np.maximum(1 - value, 1e-9)))
    return found


def auc(high: list[float], low: list[float]) -> float:
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in high for b in low]))


def wins(after: dict[str, float], before: dict[str, float]) -> float:
    return float(np.mean([after[name] > before[name] for name in after if name in before]))


def figures(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """What is reported of an ensemble."""
    lenses = list(found["lens"].values())
    out = {f"n_{group.replace(' ', '_')}": float(len(values)) for group, values in found.items()}
    for group in ("blank", "faint", "bright", "erased lens"):
        out[f"auroc_lens_over_{group.replace(' ', '_')}"] = auc(lenses, list(found[group].values()))
    negatives = [value for group in ("blank", "faint", "bright") for value in found[group].values()]
    out["lenses_above_every_negative"] = float(sum(value > max(negatives) for value in lenses))
    out["wins_lens_over_erased"] = wins(found["centred lens"], found["erased lens"])
    out["wins_injected_over_host"] = wins(found["injected"], found["host"])
    out["auroc_injected_over_hosts"] = auc(list(found["injected"].values()), list({*found["host"].values()}))
    out["wins_simulated_lens_over_erased"] = wins(found["simulated lens"], found["erased simulated lens"])
    out["auroc_simulated_lens_over_erased"] = auc(
        list(found["simulated lens"].values()), list(found["erased simulated lens"].values())
    )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL)
    parser.add_argument("--ensemble", nargs="+", default=[Settings.read().ensemble])
    parser.add_argument("--show", action="store_true", help="print every real lens and the best negatives")
    arguments = parser.parse_args()
    if not arguments.real.is_dir():
        parser.error(f"needs real Euclid cutouts (--real), got {arguments.real}")
    stamps = [*real_stamps(arguments.real), *simulated_pairs()]
    results = {}
    for ensemble in arguments.ensemble:
        found = scores(ensemble, stamps)
        results[Path(ensemble).name] = figures(found)
        sys.stdout.write(f"{ensemble} {json.dumps(results[Path(ensemble).name], indent=1)}\n")
        if arguments.show:
            for group in ("lens", "erased lens", "blank", "faint", "bright"):
                ranked = sorted(found[group].items(), key=lambda item: -item[1])[:8]
                sys.stdout.write(f"{group}: {[(name, round(value, 2)) for name, value in ranked]}\n")
    content = {"ensembles": results, "date": datetime.now(UTC).date().isoformat(), "command": "make probes"}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
