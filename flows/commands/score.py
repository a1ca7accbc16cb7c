"""`lensscan score`: score cutouts, or positions in tiles, into a table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from flows.commands.score_summary import guess_of, summary_of, warnings_of
from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.progress import Progress
from infra.settings import Settings
from infra.store.storage import local_path
from scanner.catalogue.object_table import with_candidates
from scanner.catalogue.score_files import check_score_path, write_scores
from scanner.networks.engines import resolve_engine
from scanner.networks.locate import known_cards
from scanner.networks.package import load_scorer
from scanner.scan.manifest import score_images as score_arrays
from scanner.scan.manifest import score_manifest
from scanner.scan.positions_in_tiles import score_positions
from scanner.scan.row_groups import MissingBands
from scanner.scan.scoring import CutoutScanner
from scanner.sources.array_files import ArrayFiles, open_arrays
from scanner.sources.image_arguments import read_images
from scanner.sources.manifests import Manifest
from scanner.sources.positions import SkyPositions, read_positions
from scanner.sources.survey import Survey, find_survey

Listed = Manifest | SkyPositions | ArrayFiles
"""What a command is given to score."""


class ScoringError(LensscanError):
    """The arguments of `lensscan score` do not fit together."""


def score_images(
    images: Sequence[str],
    out: str | None,
    tiles: str | None,
    ensemble: str | None,
    batch_size: int,
    progress: Progress,
    engine: EngineName | None = None,
    survey: str | None = None,
    bands: str | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Score every object of the images, and write one row each into the file `out`, which appears only when complete.

    Args:
        images: Manifests, FITS files and folders of them; with `tiles`, one table of positions.
        out: File of scores, or None to return all rows in the summary instead.
        tiles: Folder or `s3://` prefix of the tiles that hold the positions.
        ensemble: Name or folder; the configured one by default.
        batch_size: Number of cutouts scored at a time.
        progress: Callback that gets numbers of rows.
        engine: Inference engine; the configured one by default.
        survey: Name or file of the survey that the tiles are of; Euclid's by default.
        bands: Bands of the planes of array files and FITS cubes, in order, separated by commas.
        overwrite: Whether `out` may be a file of scores, which is replaced.

    Raises:
        ScoringError: the arguments do not fit together.
        ScoreFileError: `out` cannot be written, exists without `overwrite`, or is not a file of scores.
        LensscanError: the images or the ensemble cannot be read.
    """
    target = None if out is None else local_path(out)
    if target is not None:
        check_score_path(target, out or "", overwrite=overwrite)
    _check_arguments(images, tiles, survey, bands)
    described = find_survey(survey)
    settings = Settings.read()
    # The list is read before the networks, because most mistakes are in it.
    listed: Listed
    if bands is not None:
        listed = open_arrays(images, bands)
    else:
        listed = read_images(images) if tiles is None else read_positions(images[0])
    package = load_scorer(chosen_package(ensemble), resolve_engine(engine or settings.engine))
    scanner = CutoutScanner(package, batch_size)
    missing = MissingBands(package.committee, batch_size, known_cards(settings.ensembles_dir))
    scored = _table_of(listed, scanner, missing, tiles, described, progress)
    table = with_candidates(scored, package.card.candidate_threshold)
    if target is not None:
        write_scores(table, target, package.name, package.sha256)
    said: dict[str, Any] = {} if survey is None else {"survey": described.name, "bands": described.bands}
    said |= {"guessed": guess_of(listed), "warnings": warnings_of(listed)} if isinstance(listed, Manifest) else {}
    return {**summary_of(table, package.card, out), **said}


def _check_arguments(images: Sequence[str], tiles: str | None, survey: str | None, bands: str | None) -> None:
    """Check that the arguments fit together."""
    if len(images) != 1 and tiles is not None:
        raise ScoringError(f"--tiles needs one table of positions, got {len(images)} arguments")
    if not images:
        raise ScoringError("name a manifest, FITS files or a folder of them; or, with --tiles, a table of positions")
    if survey is not None and tiles is None:
        raise ScoringError("--survey needs --tiles, the folder of the survey's tiles")
    if bands is not None and tiles is not None:
        raise ScoringError("--bands names the planes of array files and FITS cubes, which --tiles does not read")


def _table_of(
    listed: Listed,
    scanner: CutoutScanner,
    missing: MissingBands,
    tiles: str | None,
    survey: Survey,
    progress: Progress,
) -> pa.Table:
    """Return the scores of listed images, of arrays, or of listed positions in tiles."""
    if isinstance(listed, ArrayFiles):
        return score_arrays(listed, scanner, progress, missing)
    if isinstance(listed, Manifest):
        return score_manifest(listed, scanner, progress, missing)
    return score_positions(listed, tiles or "", scanner, progress, missing, survey)
