"""`make realism`: measure and draw how closely simulated Euclid fields resemble real ones.

Sky noise and its autocorrelation are compared on pixels away from objects, which the same rule finds in real and simulated
fields. A linear probe on simple statistics tries to separate real from simulated stamps of galaxies that are not lenses; an AUC
of 0.5 means that it cannot. Writes `realism.json` and `realism.jpg` beside this file.
"""

import argparse
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter
from scipy.stats import rankdata

from scanner.preprocess.colour_picture import composite
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER, MER_PIXEL_ARCSEC
from simulation.optics.observation import draw_conditions
from simulation.population.colours import star_sed
from simulation.population.draw import Draw
from simulation.products.contact_sheet import Cell, sheet_png
from simulation.products.dataset import DatasetSpec, simulate_at
from simulation.products.mosaic import SimulatedMosaic
from simulation.systems import PointSource
from tests.shared import EUCLID_FIELDS

RESULTS = Path(__file__).with_name("realism.json")
PICTURE = Path(__file__).with_name("realism.jpg")
REAL = Path(__file__).parents[3] / "shared" / "real"
HDU_PREFIX = {"VIS": "VIS", "Y": "NIR_Y", "J": "NIR_J", "H": "NIR_H"}
SIDE_PIXELS = 300
GALAXY_VIS_MAGS, STAR_VIS_MAGS = (18.0, 27.0), (18.0, 23.0)
"""Ranges of the galaxies and stars in a simulated field."""
STARS_PER_ARCMIN2 = 1.5
"""Density of stars at high galactic latitude, to VIS 23."""
N_FIELDS = 60
SEED = 20261125
STAMP_PIXELS = 64
CENTRE_PIXELS = 60
"""Radius about a real field's centre that contains the lens and its arcs; stamps exclude it."""
LAGS = {"VIS": ((0, 1), (1, 1)), "NISP": ((0, 1), (1, 1), (0, 2), (0, 3))}

STATISTICS = (
    "sky", "level", "core", "wide", "outer", "concentration", "over3", "over10", "under3", "p1", "p25", "p75", "p99",
    "texture", "texture_acf_x", "texture_acf_y",
)  # fmt: skip

Field = Mapping[str, NDArray[np.float64]]


def real_fields(folder: Path) -> list[Field]:
    """Read the four bands of every Euclid cutout in a folder, band to `[y, x]`."""
    return [read_field(path) for path in sorted(folder.glob(EUCLID_FIELDS))]


def read_field(path: Path) -> Field:
    with fits.open(path, memmap=False) as hdus:
        bands = {
            band: next(h.data for h in hdus if h.name in {f"{prefix}_FLUX", f"{prefix}_BGSUB"}).astype(float)
            for band, prefix in HDU_PREFIX.items()
        }
    return aligned(bands)


def aligned(field: Field) -> Field:
    """Align VIS with the NISP bands: one file's VIS cutout, at the edge of its mosaic, is shifted."""
    n = len(field["VIS"])
    vis, h = (np.clip((field[b] - robust_sky(field[b])[0]) / robust_sky(field[b])[1], 0, 30) for b in ("VIS", "H"))
    match = np.fft.fftshift(np.fft.irfft2(np.fft.rfft2(vis) * np.conj(np.fft.rfft2(h)), vis.shape))
    dy, dx = np.array(np.unravel_index(match.argmax(), match.shape)) - n // 2
    if max(abs(dy), abs(dx)) < 3:
        return field
    # Pixels that the shift leaves without data are masked (0), as they are beyond the mosaic.
    moved = np.zeros_like(field["VIS"])
    rows, columns = (slice(max(-d, 0), n - max(d, 0)) for d in (dy, dx))
    source_rows, source_columns = (slice(max(d, 0), n - max(-d, 0)) for d in (dy, dx))
    moved[rows, columns] = field["VIS"][source_rows, source_columns]
    return {**field, "VIS": moved}


def simulated_fields(n: int) -> list[Field]:
    return [simulated_field(np.random.default_rng([SEED, i])) for i in range(n)]


def simulated_field(rng: np.random.Generator) -> Field:
    """Simulate a piece of sky without lenses, with galaxies of the field and stars too faint for long spikes."""
    mosaic = SimulatedMosaic(SIDE_PIXELS, draw_conditions(rng, float(rng.uniform(0, 360))))
    mosaic.paint_field(GALAXY_VIS_MAGS, rng)
    for _ in range(int(rng.poisson(STARS_PER_ARCMIN2 * (SIDE_PIXELS * MER_PIXEL_ARCSEC / 60) ** 2))):
        x, y = rng.integers(0, SIDE_PIXELS, 2).tolist()
        dx, dy = (rng.uniform(-0.5, 0.5, 2) * MER_PIXEL_ARCSEC).tolist()
        mosaic.paint((PointSource(dx, dy, star_sed(float(rng.uniform(*STAR_VIS_MAGS)), rng)),), x, y)
    return {band: image.astype(float) for band, image in mosaic.observed(rng).items()}


def robust_sky(image: NDArray[np.float64]) -> tuple[float, float]:
    """Return sky level and standard deviation from the faint half of the pixels, without masked ones (exactly 0)."""
    low, middle = np.percentile(image[image != 0], [10, 40])
    sigma = (middle - low) / (1.2816 - 0.2533)
    return middle + 0.2533 * sigma, sigma


def sky_mask(image: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask `[y, x]` of the pixels away from objects in the smoothed image."""
    level, _ = robust_sky(image)
    masked = image == 0
    smooth = gaussian_filter(np.where(masked, level, image), 2.0)
    smooth_level, smooth_sigma = robust_sky(smooth)
    objects = binary_dilation(smooth > smooth_level + 2.25 * smooth_sigma, iterations=6)
    return ~(objects | binary_dilation(masked, iterations=2))


def sky_statistics(field: Field) -> dict[str, dict[str, float]]:
    """Return the sky's standard deviation and autocorrelation for each band."""
    return {band: _of_sky(field[band], LAGS["VIS" if band == "VIS" else "NISP"]) for band in EUCLID}


def _of_sky(image: NDArray[np.float64], lags: Sequence[tuple[int, int]]) -> dict[str, float]:
    mask = sky_mask(image)
    x = np.where(mask, image - image[mask].mean(), 0.0)
    variance = np.mean(x[mask] ** 2)
    found = {"rms": float(np.sqrt(variance))}
    for dy, dx in lags:
        products = []
        # Average both orientations of a lag.
        for a, b in {(dy, dx), (dx, dy)}:
            h, w = x.shape
            both = mask[: h - a, : w - b] & mask[a:, b:]
            products.append(np.mean((x[: h - a, : w - b] * x[a:, b:])[both]))
        found[f"acf_{dy}_{dx}"] = float(np.mean(products) / variance)
    return found


def stamps_of(field: Field, keep_centre: bool) -> list[Field]:
    """Cut stamps about galaxies detected in VIS, apart from each other, from the edge and, in a real field, from the lens."""
    vis = field["VIS"]
    level, sigma = robust_sky(vis)
    smooth = gaussian_filter(np.where(vis == 0, level, vis) - level, 2.0)
    peaks = (smooth == maximum_filter(smooth, 15)) & (smooth > 1.2 * sigma)
    half, n = STAMP_PIXELS // 2, len(vis)
    found = []
    for y, x in np.argwhere(peaks):
        inside = half <= y < n - half and half <= x < n - half
        near_lens = not keep_centre and np.hypot(y - n / 2, x - n / 2) < CENTRE_PIXELS + half / 2
        if inside and not near_lens:
            stamp = {band: image[y - half : y + half, x - half : x + half] for band, image in field.items()}
            if np.mean(stamp["VIS"] == 0) < 0.05:
                found.append(stamp)
    return found


def statistics(stamp: Field) -> NDArray[np.float64]:
    """Return simple statistics of a stamp: sky, light within circles, profile, tails and texture in each band, and colours."""
    r = np.hypot(*(np.indices((STAMP_PIXELS, STAMP_PIXELS)) - STAMP_PIXELS / 2))
    numbers: list[float] = []
    fluxes = []
    for band, image in stamp.items():
        level, sigma = robust_sky(image)
        z = (image - level) / sigma
        core, wide = z[r < 3].mean(), z[r < 10].mean()
        fluxes.append(np.arcsinh(wide))
        fine = z - gaussian_filter(z, 1.5)
        fine = np.clip(fine, *np.percentile(fine, [1, 99]))
        of_band = {
            "sky": np.log(sigma / _typical_sky(band)),
            "level": level / sigma,
            "core": np.arcsinh(core),
            "wide": np.arcsinh(wide),
            "outer": np.arcsinh(z[(r > 10) & (r < 20)].mean() * 3),
            "concentration": np.arcsinh(core) - np.arcsinh(wide),
            "over3": np.mean(z > 3),
            "over10": np.mean(z > 10),
            "under3": np.mean(z < -3),
            **dict(zip(("p1", "p25", "p75", "p99"), np.percentile(z, [1, 25, 75, 99]), strict=True)),
            "texture": fine.std(),
            "texture_acf_x": _lag(fine),
            "texture_acf_y": _lag(fine.T),
        }
        numbers += [float(of_band[name]) for name in STATISTICS]
    numbers += list(np.diff(fluxes))
    return np.array(numbers)


def _lag(image: NDArray[np.float64]) -> float:
    """Return the correlation of neighbouring pixels along x."""
    centred = image - image.mean()
    return float(np.mean(centred[:, 1:] * centred[:, :-1]) / np.mean(centred**2))


def _typical_sky(band: str) -> float:
    return 0.0025 if band == "VIS" else 0.5


@dataclass(frozen=True)
class Probe:
    """Result of a linear classifier on fields outside its training set."""

    auc: float
    low: float
    high: float
    n_real: int
    n_simulated: int
    telling: tuple[tuple[str, float], ...]
    """Statistics that separate real from simulated stamps best on their own, with their AUC."""


def probe(real: Sequence[Field], simulated: Sequence[Field]) -> Probe:
    """Cross-validate a linear classifier, leaving out one real field at a time, with its share of the simulated fields.

    The interval is from resampling stamps within fields, so it does not include differences between fields.
    """
    rows, labels, folds = [], [], []
    n_folds = len(real)
    for is_real, fields in ((1, real), (0, simulated)):
        for i, field in enumerate(fields):
            for stamp in stamps_of(field, keep_centre=not is_real):
                rows.append(statistics(stamp))
                labels.append(is_real)
                folds.append(i % n_folds)
    x, y, fold = np.array(rows), np.array(labels), np.array(folds)
    scores = np.zeros(len(y))
    for k in range(n_folds):
        train = fold != k
        mean, deviation = x[train].mean(0), x[train].std(0) + 1e-9
        weights = fit_logistic((x[train] - mean) / deviation, y[train])
        scores[~train] = np.clip((x[~train] - mean) / deviation, -8, 8) @ weights[1:]
    aucs = np.array([auc(scores[fold == k], y[fold == k]) for k in range(n_folds)])
    sizes = np.array([np.sum((fold == k) & (y == 1)) for k in range(n_folds)])
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        parts = []
        for k in range(n_folds):
            chosen = np.flatnonzero(fold == k)
            again = np.concatenate([rng.choice(chosen[y[chosen] == c], np.sum(y[chosen] == c)) for c in (0, 1)])
            parts.append(auc(scores[again], y[again]))
        draws.append(np.average(parts, weights=sizes))
    low, high = np.percentile(draws, [2.5, 97.5])
    single = sorted(((name, auc(x[:, i], y)) for i, name in enumerate(names())), key=lambda p: -abs(p[1] - 0.5))
    return Probe(
        float(np.average(aucs, weights=sizes)), float(low), float(high), int(y.sum()), int((1 - y).sum()), tuple(single[:12])
    )


def names() -> list[str]:
    return [f"{band}_{name}" for band in EUCLID for name in STATISTICS] + ["VIS-Y", "Y-J", "J-H"]


def fit_logistic(x: NDArray[np.float64], y: NDArray[np.int_], ridge: float = 10.0) -> NDArray[np.float64]:
    """Return intercept and weights of a ridge-penalised logistic regression with equal class weights (Newton's method)."""
    design = np.column_stack([np.ones(len(x)), x])
    weight = np.where(y == 1, 0.5 / max(np.mean(y == 1), 1e-9), 0.5 / max(np.mean(y == 0), 1e-9))
    penalty = np.diag([0.0] + [ridge] * x.shape[1])
    beta = np.zeros(design.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(hessian, design.T @ (weight * (y - p)) - penalty @ beta)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def auc(scores: NDArray[np.float64], labels: NDArray[np.int_]) -> float:
    """Return the area under the ROC curve, from ranks."""
    ranks = rankdata(scores)
    n1 = int(np.sum(labels == 1))
    n0 = len(labels) - n1
    return float((ranks[labels == 1].sum() - n1 * (n1 + 1) / 2) / (n0 * n1))


def compared(real: Sequence[Field], simulated: Sequence[Field]) -> dict[str, dict[str, dict[str, float]]]:
    """Return for each band and quantity the real and simulated medians, their ratio, and the range of the real fields."""
    ours, theirs = ([sky_statistics(field) for field in fields] for fields in (simulated, real))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for band in EUCLID:
        table[band] = {}
        for quantity in ours[0][band]:
            a, b = ([row[band][quantity] for row in rows] for rows in (theirs, ours))
            table[band][quantity] = {
                "real": float(np.median(a)),
                "real_min": float(np.min(a)),
                "real_max": float(np.max(a)),
                "simulated": float(np.median(b)),
                "ratio": float(np.median(b) / np.median(a)),
            }
    return table


def picture(real: Sequence[Field], shown_arcsec: float = 10.0) -> bytes:
    """Draw real lenses and real field galaxies above simulated ones, with one stretch, as a JPEG file."""
    columns = 8
    rows: list[tuple[str, list[NDArray[np.float64]]]] = []
    centres = [_cut(field, len(field["VIS"]) / 2, len(field["VIS"]) / 2) for field in real]
    outskirts = [
        _cut(field, y, x)
        for field in real
        if len(field["VIS"]) >= SIDE_PIXELS
        for y, x in ((60, 60), (60, 240), (240, 60), (240, 240))
    ]
    rows += [("real lenses", [composite(c, 0.1, shown_arcsec) for c in centres])]
    rows += [("real fields", [composite(c, 0.1, shown_arcsec) for c in outskirts[:columns]])]
    fields = simulated_fields(columns)
    rows += [("simulated fields", [composite(_cut(f, 60, 60), 0.1, shown_arcsec) for f in fields])]
    kinds: tuple[Draw, ...] = (
        *("single", "compound_arc", "double_ring"),
        *("twin", "spiral", "ring_galaxy", "edge_on", "merger", "companions", "blue_companions", "group", "artefact"),
    )
    for number, kind in enumerate(kinds):
        spec = DatasetSpec(n=columns, seed=SEED + number, kinds=((kind, 1.0),), geometry=MER.name)
        rows.append((kind, [composite(simulate_at(spec, i).stamps, 0.1, shown_arcsec) for i in range(columns)]))
    sink = io.BytesIO()
    Image.open(
        io.BytesIO(
            sheet_png(
                [(label.replace("_", "\n"), [Cell("", [image], shown_arcsec) for image in images]) for label, images in rows]
            )
        )
    ).convert("RGB").save(sink, "JPEG", quality=88)
    return sink.getvalue()


def _cut(field: Field, y: float, x: float) -> Field:
    half = min(60, len(field["VIS"]) // 2)
    rows, columns = (slice(max(round(c) - half, 0), round(c) + half) for c in (y, x))
    return {band: image[rows, columns].astype(np.float32) for band, image in field.items()}


def main(argv: Sequence[str] | None = None, write: Callable[[str], object] = sys.stdout.write) -> None:
    parser = argparse.ArgumentParser(description="Measure how closely simulated Euclid fields resemble real ones.")
    parser.add_argument("--real", type=Path, default=REAL, help="folder of Euclid cutouts")
    parser.add_argument("--fields", type=int, default=N_FIELDS, help="number of simulated fields")
    parser.add_argument("--dry", action="store_true", help="print the results without writing files")
    options = parser.parse_args(argv)
    real = real_fields(options.real)
    if not real:
        parser.error(f"no Euclid cutouts in {options.real}")
    simulated = simulated_fields(options.fields)
    sky = compared(real, simulated)
    reached = probe([field for field in real if len(field["VIS"]) >= SIDE_PIXELS], simulated)
    for band, quantities in sky.items():
        for quantity, v in quantities.items():
            span = f"({v['real_min']:.4g}-{v['real_max']:.4g})"
            write(
                f"{band:4} {quantity:8} real {v['real']:.4g} {span}  simulated {v['simulated']:.4g}  ratio {v['ratio']:.3f}\n"
            )
    write(f"probe AUC {reached.auc:.3f} ({reached.low:.3f}-{reached.high:.3f}): ")
    write(f"{reached.n_real} real, {reached.n_simulated} simulated stamps\n")
    for name, value in reached.telling:
        write(f"  {name:20} {value:.3f}\n")
    if options.dry:
        return
    report = {
        "sky": sky,
        "probe": {**asdict(reached), "telling": dict(reached.telling)},
        "n_fields": {"real": len(real), "simulated": options.fields},
        "date": datetime.now(UTC).date().isoformat(),
        "command": "make realism",
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    PICTURE.write_bytes(picture(real))


if __name__ == "__main__":
    main()
