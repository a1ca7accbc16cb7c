"""`lensscan inject`: add simulated arcs to the cutouts of a manifest or to tiles."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from infra.progress import Progress, part_of
from infra.store.storage import absolute, exists, join
from scanner.sources.image_arguments import names_cutouts, read_images
from scanner.sources.manifests import MANIFEST_SUFFIXES, Manifest
from scanner.sources.survey import find_survey
from scanner.sources.tiles import Tile, TileError, discover_tiles, no_tiles
from scanner.vocabulary.rejections import RejectCode
from simulation.injection.arcs import InjectionError
from simulation.injection.cutouts import InjectionSummary, OutputError, inject_into_cutouts
from simulation.injection.tiles import inject_into_tile
from simulation.products.dataset import write_contact_sheet

_MOST_REASONS = 5


def inject(
    images: str, out: str, n_per_tile: int, seed: int, psf: str | None, report: Progress, survey: str | None = None
) -> dict[str, Any]:
    """Inject arcs into the cutouts or tiles of `images`; return the number of arcs and the reasons for images without arcs.

    `survey` is the name or the file of the survey that the tiles are of; without it, images are cutouts or Euclid's tiles.

    Raises:
        LensscanError: there are no images, no image can host arcs, or `out` holds other files.
    """
    images, out, psf = absolute(images), absolute(out), psf and absolute(psf)
    described = find_survey(survey)
    if survey is None and names_cutouts(images):
        return _into_cutouts(read_images([images]), out, seed, psf, report)
    tiles = discover_tiles(images, described)
    if not tiles:
        none = f"no Euclid MER tile under {images}, no FITS files; a manifest ends in {' or '.join(MANIFEST_SUFFIXES)}"
        raise TileError(none if survey is None else no_tiles(images, described))
    return _into_tiles(tiles, out, n_per_tile, seed, psf, report)


def _into_cutouts(manifest: Manifest, out: str, seed: int, psf: str | None, report: Progress) -> dict[str, Any]:
    sheet = join(out, "contact_sheet.png")
    if exists(sheet) and not exists(join(out, "shard-00000.parquet")):
        raise OutputError(f"{sheet} shows shards that are gone; remove it, or choose another folder")
    summary = inject_into_cutouts(manifest, out, seed, psf, report)
    write_contact_sheet(summary.files[0], sheet)
    return {**_counts([summary], len(manifest)), "shards": len(summary.files), "folder": out, "contact_sheet": sheet}


def _into_tiles(tiles: Sequence[Tile], out: str, n: int, seed: int, psf: str | None, report: Progress) -> dict[str, Any]:
    """Inject arcs into each tile; an unsuitable tile does not stop the others."""
    summaries: list[InjectionSummary] = []
    failures: list[InjectionError | TileError] = []
    for number, tile in enumerate(tiles):
        try:
            summaries.append(inject_into_tile(tile, out, n, seed, psf, part_of(report, n * number, n * len(tiles))))
        except OutputError:
            raise
        except (InjectionError, TileError) as error:
            failures.append(error)
        report(n * (number + 1), n * len(tiles))
    if not summaries:
        raise failures[0]
    failed = {"tiles_without_arcs": "; ".join(str(error) for error in failures)} if failures else {}
    return {"tiles": len(summaries), **_counts(summaries, n * len(tiles)), **failed, "folder": out}


def _counts(summaries: Sequence[InjectionSummary], n_asked: int) -> dict[str, Any]:
    causes = Counter(_cause(reason) for summary in summaries for _, reason in summary.skipped)
    reasons = "; ".join(f"{count} x {cause}" for cause, count in causes.most_common(_MOST_REASONS))
    injected = sum(summary.n_injected for summary in summaries)
    return {"injected": injected, "asked_for": n_asked, "skipped": causes.total(), **({"because": reasons} if reasons else {})}


def _cause(reason: str) -> str:
    """Return the part that similar reasons share: a code, or the expectation without the value got."""
    code = reason.partition(": ")[0]
    return code if code in set(RejectCode) else reason.partition(", got ")[0]
