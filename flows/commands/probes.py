"""`lensscan evaluate --probes`: change objects one thing at a time, and see what an ensemble's scores depend on."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa

from flows.commands.results import PROBES_FILE, check_place
from flows.ensembles import chosen_package, latest_card, results_folder
from infra.progress import Progress, no_progress
from infra.provenance import code_version
from infra.settings import Settings
from infra.store.files import replace_whole
from scanner.catalogue.outcomes import SCORED
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.package import load_scorer
from scanner.scan.manifest import score_stamps
from scanner.scan.row_groups import MissingBands, RowGroup, score_groups
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import CutoutBatch, Row, batches_of
from scanner.sources.cutouts import to_cutout
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import Geometry, Image
from scanner.vocabulary.kinds import KINDS, UNCHANGED
from scanner.vocabulary.rejections import Rejection
from simulation.products.probes import PROBES, PROBES_OF, probed_object
from simulation.products.render import stack
from training.evaluation.card_text import write_card_with_text
from training.evaluation.probe_gate import DropOut, ProbeReport, Scores, judge_probes
from training.evaluation.probe_scores import ScoreColumns
from training.evaluation.probe_text import probes_line, probes_markdown

SEED = 21_000_001
"""Seed of the probed objects, far from the seeds that people train with."""
BOOTSTRAP_SEED = 0
TEXT_FILE = "PROBES.md"
_ORDER = (*KINDS[1:], KINDS[0])
"""Lenses first: they get all changes, in the order of the table."""
_AT_ONCE = 8
"""Objects whose images are in memory together, each under some forty changes: 50 MB of stamps of 10 arcsec."""
_ASKED_OF_SHIFTS = {UNCHANGED, *(probe.name for probe in PROBES if probe.shifts_a_band)}
"""Changes whose rows are checked for shifted bands."""
_BATCH = 64
_MOST_DROPPED = 16
"""Objects of each kind that also go without a band: whether the row says so does not depend on the object."""

_Way = Literal["blank", "missing"]


def probe_ensemble(n: int, ensemble: str | None, out: str | None, progress: Progress) -> tuple[ProbeReport, Path]:
    """Simulate `n` objects of each kind under every change, score them, and write the table beside the ensemble or into `out`.

    An ensemble beside whose weights the table is written also gets its one-line result on its card.

    Raises:
        PackageError: the ensemble cannot be used.
        TrainingError: the folder is on S3, is a file, cannot be written to, or holds another ensemble or results of another.
        SimulationError: an object could not be made.
    """
    package = chosen_package(ensemble)
    card = read_card(package)
    folder = results_folder(package, card, out)
    check_place(folder, package, card)
    scorer = load_scorer(package, resolve_engine(Settings.read().engine))
    scores, whole = _scores(n, scorer, progress)
    scanner, missing = CutoutScanner(scorer), MissingBands(scorer.committee, _BATCH)
    ways: tuple[_Way, ...] = ("blank", "missing")
    drop_outs = tuple(_drop_out(band, how, whole, scanner, missing) for band in scorer.geometry.grids for how in ways)
    report = judge_probes(scores, drop_outs, card.candidate_threshold, BOOTSTRAP_SEED)
    _write(report, folder, card.name, card.sha256, n)
    if folder.resolve() == package.resolve():
        write_card_with_text(package, latest_card(package, card).model_copy(update={"probes": probes_line(report)}))
    return report, folder


def _scores(n: int, scorer: Scorer, progress: Progress) -> tuple[Scores, list[dict[str, Image]]]:
    """Return the scores of `n` objects of each kind by kind and change, and some of the unchanged objects."""
    geometry = scorer.geometry
    asked, quiet = CutoutScanner(scorer, _BATCH), CutoutScanner(scorer, _BATCH, check_above=None)
    gathered = {kind: ScoreColumns(scorer.network_names) for kind in _ORDER}
    whole: list[dict[str, Image]] = []
    chunks = [(kind, range(start, min(start + _AT_ONCE, n))) for kind in _ORDER for start in range(0, n, _AT_ONCE)]
    for done, (kind, indices) in enumerate(chunks, start=1):
        objects = [probed_object(kind, index, SEED, geometry) for index in indices]
        for is_asked, scanner in ((True, asked), (False, quiet)):
            chosen = [change for change in _changes(kind) if (change in _ASKED_OF_SHIFTS) == is_asked]
            # All changes together, because a network takes as long for a few objects as for a batch.
            table = score_stamps(stack([images[change] for change in chosen for images in objects], geometry), scanner)
            for i, change in enumerate(chosen):
                gathered[kind].add(change, table.slice(i * len(objects), len(objects)), is_asked=is_asked)
        whole += [images[UNCHANGED] for index, images in zip(indices, objects, strict=True) if index < _MOST_DROPPED]
        progress(done, len(chunks))
    found = {kind: columns.scores() for kind, columns in gathered.items()}
    return {kind: {change: found[kind][change] for change in _changes(kind)} for kind in _ORDER}, whole


def _changes(kind: str) -> list[str]:
    return [UNCHANGED, *(probe.name for probe in PROBES_OF[kind])]


def _write(report: ProbeReport, folder: Path, name: str, sha256: str, n: int) -> None:
    origin = {"ensemble": name, "sha256": sha256, "seed": SEED, "code_version": code_version()}
    content = {**origin, **report.model_dump(mode="json"), "failures": report.failures}
    text = probes_markdown(report, f"{name} `{sha256[:12]}`", f"lensscan evaluate --probes {n} --ensemble {name}")
    for file, written in ((PROBES_FILE, json.dumps(content, indent=1) + "\n"), (TEXT_FILE, text)):
        with replace_whole(folder / file) as part:
            part.write_text(written, encoding="utf-8")


def _drop_out(
    band: str,
    how: _Way,
    objects: Sequence[dict[str, Image]],
    scanner: CutoutScanner,
    missing: MissingBands,
) -> DropOut:
    """Score objects without one band, on the way of `lensscan score`."""
    bands = frozenset(scanner.geometry.grids) - ({band} if how == "missing" else set())

    def begin(geometry: Geometry, batch_size: int) -> Iterator[CutoutBatch]:
        return batches_of((_row(images, band, geometry) for images in objects), geometry, batch_size)

    table = score_groups([RowGroup(range(len(objects)), bands, begin)], scanner, no_progress, missing)
    is_scored = [status == SCORED for status in table["status"].to_pylist()]
    says_so = [not scored or _names(detail, band) for scored, detail in zip(is_scored, _details(table), strict=True)]
    return DropOut(band=band, how=how, n=len(objects), n_scored=sum(is_scored), n_stated=sum(says_so))


def _row(images: dict[str, Image], dropped: str, geometry: Geometry) -> Row:
    blank = partial(BandImage, images[dropped] * 0)
    try:
        return to_cutout(
            {
                band: blank(grid.pixel_scale_arcsec) if band == dropped else BandImage(images[band], grid.pixel_scale_arcsec)
                for band, grid in geometry.grids.items()
            },
            geometry,
        )
    except Rejection as rejection:
        return rejection


def _names(detail: str, band: str) -> bool:
    return f"scored without {band} " in detail


def _details(table: pa.Table) -> list[str]:
    return [str(detail) for detail in table["detail"].to_pylist()]
