"""`lensscan inject`: a manifest or tiles in, the same with simulated arcs out."""

from collections import Counter
from typing import Any

from infra.storage import absolute, join
from scanner.pixels.manifests import read_manifest
from scanner.pixels.tiles import TileError, discover_tiles
from simulation.dataset import write_contact_sheet
from simulation.injected_sets import InjectionSummary, inject_into_cutouts, inject_into_tile

_MANIFEST_SUFFIXES = (".csv", ".parquet")


def inject(images: str, out: str, n_per_tile: int, seed: int) -> dict[str, Any]:
    """Inject into what `images` names, and say how many arcs there are and why some images got none.

    Raises:
        LensscanError: nothing there to inject into, or no image could host arcs.
    """
    images, out = absolute(images), absolute(out)
    if images.lower().endswith(_MANIFEST_SUFFIXES):
        summary = inject_into_cutouts(read_manifest(images), out, seed)
        sheet = join(out, "contact_sheet.png")
        write_contact_sheet(summary.files[0], sheet)
        return {**_said(summary), "contact sheet": sheet}
    tiles = discover_tiles(images)
    if not tiles:
        raise TileError(f"no Euclid MER tile under {images}; a manifest ends in {' or '.join(_MANIFEST_SUFFIXES)}")
    said = [inject_into_tile(tile, out, n_per_tile, seed) for tile in tiles]
    whole = InjectionSummary(
        sum(s.n_injected for s in said), tuple(e for s in said for e in s.skipped), tuple(f for s in said for f in s.files)
    )
    return {"tiles": len(tiles), **_said(whole), "folder": out}


def _said(summary: InjectionSummary) -> dict[str, Any]:
    reasons = Counter(reason for _, reason in summary.skipped)
    told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
    return {"injected": summary.n_injected, "skipped": len(summary.skipped), **({"because": told} if told else {})}
