"""`make probes`: measure how ensembles score real Euclid images.

The few real lenses are used for checks, not for any fit. Negatives are cut from the outskirts of their fields; more pairs come
from painting arcs about real galaxies, and from erasing arcs: the asymmetric light of a lens is replaced by the light opposite.
Stamps that would show the field's lens to an ensemble are left out; a 30 arcsec field has few other 20 arcsec stamps, and those
are padded. HST lenses with their twins, and galaxies of an HSC field, are real, too. Scores are those of
`lensscan score`. Writes `probes.json` beside this file.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from infra.settings import Settings
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.locate import find_package
from scanner.networks.package import load_scorer
from scanner.scan.scoring import CutoutScanner
from scanner.sources.cutouts import Cutout, to_cutout
from scanner.vocabulary.geometry import Geometry
from scanner.vocabulary.rejections import Rejection
from tests.benchmarks.hst_lenses import THIRDS, hst_stamps
from tests.benchmarks.probe_stamps import (
    KINDS,
    PIXEL_ARCSEC,
    SEED,
    SIDE_PIXELS,
    Stamp,
    jackpot,
    min_distance_pixels,
    real_stamps,
    simulated_pairs,
)
from tests.benchmarks.real_galaxies import galaxy_stamps, read_hsc
from tests.benchmarks.real_lensed import SEED as REAL_SEED
from tests.benchmarks.real_lensed import real_pairs
from tests.benchmarks.realism import REAL, Field, read_field, robust_sky
from tests.scanner.scanned import score_rows
from tests.shared import EUCLID_FIELDS
from training.evaluation.metrics import auroc, binomial_interval

RESULTS = Path(__file__).with_name("probes.json")
NEGATIVES = ("blank", "faint", "bright")
SIMULATED = ("simulated lens", "erased simulated lens")
REAL_LENSED = ("real lensed single", "real lensed double")
PAIRS = ("centred lens", "erased lens", "host", "injected", *SIMULATED, "real host", *REAL_LENSED)
HST = ("hst clear", "hst faint", "hst twin")
GALAXIES = ("real galaxy", "disturbed galaxy")
GROUPS = ("lens", *NEGATIVES, *PAIRS, *HST, *GALAXIES)
BRIGHTNESS_RADIUS_ARCSEC = 1.0

Values = Mapping[str, float]
"""Maps the name of each stamp in a group to its value."""
Figure = float | dict[str, float]


def seen(stamps: Iterable[Stamp], geometry: Geometry) -> list[tuple[Stamp, Cutout]]:
    """Return the stamps usable in a geometry: those that show no other lens and are not rejected."""
    found = []
    for stamp in stamps:
        if stamp.lens_distance_pixels < min_distance_pixels(geometry):
            continue
        try:
            found.append((stamp, to_cutout(stamp.bands, geometry)))
        except Rejection as rejection:
            sys.stderr.write(f"{stamp.group} {stamp.name}: {rejection}\n")
    return found


def scores(ensemble: Scorer, cutouts: list[Cutout]) -> tuple[list[float], list[float]]:
    """Return for each cutout the log-odds of `p_lens`, and p(compound | lens), NaN without kinds."""
    rows = score_rows(CutoutScanner(ensemble), cutouts)
    p, compound = (rows[name].cast("float64").fill_null(float("nan")).to_numpy() for name in ("p_lens", "p_compound"))
    return list(np.log(np.maximum(p, 1e-30) / np.maximum(1 - p, 1e-9))), list(compound / np.maximum(p, 1e-30))


def brightness(stamp: Stamp) -> float:
    """Return the H-band flux within 1 arcsec of the middle, in ADU/s."""
    image = stamp.bands["H"].pixels.astype(float)
    level, _ = robust_sky(image)
    y, x = (np.arange(n) - (n - 1) / 2 for n in image.shape)
    near = np.hypot(y[:, None], x[None, :]) < BRIGHTNESS_RADIUS_ARCSEC / PIXEL_ARCSEC
    return float((image[near & (image != 0)] - level).sum())


def grouped(stamps: list[Stamp], values: Iterable[float]) -> dict[str, dict[str, float]]:
    """Map each group to its stamps' names and values."""
    found: dict[str, dict[str, float]] = {}
    for stamp, value in zip(stamps, values, strict=True):
        found.setdefault(stamp.group, {})[stamp.name] = float(value)
    return found


def ranking(groups: Mapping[str, Values], high: str, low: str) -> float | None:
    """Return the AUROC of one group over another, or None if either has no stamp."""
    above, below = (list(groups.get(group, {}).values()) for group in (high, low))
    if not above or not below:
        return None
    return auroc(np.array(above + below), np.arange(len(above) + len(below)) < len(above))


def wins(after: Values, before: Values) -> dict[str, float] | None:
    """Return the share of pairs (same name) in which `after` is higher, with its 95 % interval, or None without pairs.

    Pairs count as independent, so the interval is too narrow if hosts have several injections.
    """
    won = [after[name] > before[name] for name in after if name in before]
    if not won:
        return None
    low, high = binomial_interval(sum(won), len(won))
    return {"value": sum(won) / len(won), "low": low, "high": high, "n": len(won)}


def share_above(values: Values, cut: float) -> dict[str, float] | None:
    """Return the share of a group at or above a cut, with its 95 % interval, or None without stamps."""
    return wins(values, dict.fromkeys(values, np.nextafter(cut, -np.inf)))


def _probability(log_odds: float) -> float:
    return float(np.exp(-np.logaddexp(0, -log_odds)))


def figures(
    found: Mapping[str, Values], compound: Mapping[str, Values], lights: Mapping[str, Values], cut: float
) -> dict[str, Figure]:
    """Return the figures reported for an ensemble, without those for which stamps are missing.

    Args:
        found: Group to name to log-odds.
        compound: Group to name to p(compound | lens).
        lights: Group to name to H-band flux: a ranking that flux achieves as well needs no network.
        cut: Log-odds of the ensemble's own threshold.
    """
    groups = {name: found.get(name, {}) for name in GROUPS}
    of_host = {name: groups["host"][host] for name in groups["injected"] if (host := name.rpartition(" ")[0]) in groups["host"]}
    negatives = [value for group in NEGATIVES for value in groups[group].values()]
    out: dict[str, Figure | None] = {f"n_{group.replace(' ', '_')}": len(values) for group, values in groups.items()}
    for group in NEGATIVES:
        out[f"auroc_lens_over_{group}"] = ranking(groups, "lens", group)
        out[f"auroc_brightness_only_over_{group}"] = ranking(lights, "lens", group)
    out["p_lens_of_lenses"] = {name: _probability(value) for name, value in groups["lens"].items()}
    out["highest_p_lens_of_a_negative"] = _probability(max(negatives)) if negatives else None
    out["lenses_above_every_negative"] = sum(value > max(negatives) for value in groups["lens"].values()) if negatives else None
    # Compare centred lenses, which have the same crop as the erased ones.
    out["auroc_lens_over_erased_lens"] = ranking(groups, "centred lens", "erased lens")
    out["wins_lens_over_erased"] = wins(groups["centred lens"], groups["erased lens"])
    out["auroc_injected_over_hosts"] = ranking(groups, "injected", "host")
    out["wins_injected_over_host"] = wins(groups["injected"], of_host)
    for group in REAL_LENSED:
        name, values = group.replace(" ", "_"), groups[group]
        hosts = {lens: groups["real host"][host] for lens in values if (host := lens.rpartition(" ")[0]) in groups["real host"]}
        out[f"wins_{name}_over_host"] = wins(values, hosts)
        out[f"auroc_{name}_over_hosts"] = ranking(groups, group, "real host")
        out[f"share_{name}_above_cut"] = share_above(values, cut)
    of_candidates = {
        group: {name: compound[group][name] for name, value in groups[group].items() if value >= cut} for group in REAL_LENSED
    }
    of_kinds = [np.array(list(values.values())) for values in of_candidates.values()]
    if not any(np.isnan(values).any() for values in of_kinds):
        out["auroc_real_lensed_double_over_single_by_kind"] = ranking(of_candidates, *reversed(REAL_LENSED))
    out["share_real_host_above_cut"] = share_above(groups["real host"], cut)
    out |= _of_real_sky(groups, cut)
    for kind in KINDS:
        # A ring lies opposite itself: the step that erases an arc leaves a double ring unchanged.
        of_kind = {group: {n: v for n, v in groups[group].items() if n.startswith(kind)} for group in SIMULATED}
        out[f"auroc_simulated_{kind}_over_erased"] = ranking(of_kind, *SIMULATED)
        out[f"wins_simulated_{kind}_over_erased"] = wins(*(of_kind[group] for group in SIMULATED))
    return {name: figure for name, figure in out.items() if figure is not None}


def _of_real_sky(groups: Mapping[str, Values], cut: float) -> dict[str, Figure | None]:
    """Return the figures of HST lenses, of all and of the third to report alone, and of real galaxies that are no lenses."""
    out: dict[str, Figure | None] = {}
    for group in (*HST, *GALAXIES):
        name = group.replace(" ", "_")
        out[f"share_{name}_above_cut"] = share_above(groups[group], cut)
        if group in HST:
            to_report = {of: value for of, value in groups[group].items() if of.startswith(THIRDS[-1])}
            out[f"share_{name}_to_report_above_cut"] = share_above(to_report, cut)
    lenses = groups["hst clear"] | groups["hst faint"]
    galaxies = groups["real galaxy"] | groups["disturbed galaxy"]
    out["auroc_hst_clear_over_twin"] = ranking(groups, "hst clear", "hst twin")
    out["wins_hst_lens_over_twin"] = wins(lenses, groups["hst twin"])
    out["auroc_hst_lens_over_galaxies"] = ranking({"lens": lenses, "galaxy": galaxies}, "lens", "galaxy")
    out["share_hst_lens_above_every_galaxy"] = (
        share_above(lenses, np.nextafter(max(galaxies.values()), np.inf)) if galaxies else None
    )
    return out


def show(found: Mapping[str, Values]) -> None:
    """Print the highest scores of the groups."""
    for group in ("lens", "erased lens", *NEGATIVES):
        ranked = sorted(found.get(group, {}).items(), key=lambda item: -item[1])[:8]
        sys.stdout.write(f"{group}: {[(name, round(value, 2)) for name, value in ranked]}\n")


def read_real(folder: Path) -> dict[str, Field]:
    """Read the Euclid cutouts of a folder, by name.

    Raises:
        ValueError: no cutout is large enough to cut negatives from.
    """
    fields = {path.stem[:18]: read_field(path) for path in sorted(folder.glob(EUCLID_FIELDS))}
    sides = [len(field["VIS"]) for field in fields.values()]
    if max(sides, default=0) < SIDE_PIXELS:
        got = f"sides of {sorted(sides)} px" if sides else "no *.fits"
        raise ValueError(f"needs a real Euclid cutout of at least {SIDE_PIXELS} px a side in --real {folder}, got {got}")
    return fields


def main() -> None:
    settings = Settings.read()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL, help="folder of Euclid cutouts with a lens in the middle")
    parser.add_argument("--galaxies", type=Path, help="deepdisc-0.1.1.tar.gz, with the field of HSC of real_galaxies.py")
    parser.add_argument("--ensemble", nargs="+", default=[settings.ensemble])
    parser.add_argument("--show", action="store_true", help="print every real lens and the best negatives")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file to write the figures to")
    arguments = parser.parse_args()
    try:
        fields = read_real(arguments.real)
    except ValueError as error:
        parser.error(str(error))
    rng = np.random.default_rng(SEED)
    hst = arguments.real / "jackpot" / "data.fits"
    stamps = [jackpot(hst, rng)] if hst.is_file() else []
    stamps += [*real_stamps(fields, rng), *simulated_pairs()]
    large = {name: field for name, field in fields.items() if len(field["VIS"]) >= SIDE_PIXELS}
    stamps += real_pairs(large, np.random.default_rng(REAL_SEED))
    stamps += hst_stamps(arguments.real)
    if arguments.galaxies:
        stamps += galaxy_stamps(read_hsc(arguments.galaxies), large, "report")
    results = {}
    for name in arguments.ensemble:
        ensemble = load_scorer(find_package(name, settings.ensembles_dir), resolve_engine(settings.engine))
        judged, cutouts = (list(column) for column in zip(*seen(stamps, ensemble.geometry), strict=True))
        found, compound = (grouped(judged, values) for values in scores(ensemble, cutouts))
        threshold = ensemble.card.candidate_threshold
        cut = float(np.log(threshold / (1 - threshold)))
        results[Path(name).name] = figures(found, compound, grouped(judged, map(brightness, judged)), cut)
        sys.stdout.write(f"{name} {json.dumps(results[Path(name).name], indent=1)}\n")
        if arguments.show:
            show(found)
    content = {"ensembles": results, "date": datetime.now(UTC).date().isoformat(), "command": "make probes"}
    arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
