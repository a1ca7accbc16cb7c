"""Numbers with their nouns, and lists of names, as commands say them; the module imports no library that takes time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scanner.vocabulary.calibration import UNCALIBRATED, is_calibrated_for

if TYPE_CHECKING:
    from scanner.catalogue.source_choice import UnmatchedTargets
    from scanner.catalogue.units import LeftOut

MOST_NAMED = 10
"""Largest number of tiles that are named."""


_REASONS = {
    "no_mosaic": "with a catalogue and no mosaic",
    "no_catalogue": "with mosaics and no catalogue",
    "unreadable_catalogue": "with a catalogue that cannot be read",
    "lacks_columns": "with a catalogue that lacks a column of --where",
}


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 tile`, `2 tiles`."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def named(names: Sequence[str]) -> str:
    """Return names separated by commas, and the number of those that are not named."""
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def of_survey(name: str | None, bands: Mapping[str, str]) -> dict[str, str]:
    """Say which bands of another survey stand for those of the networks; nothing for Euclid's tiles and for shards."""
    if is_calibrated_for(name):
        return {}
    read = ", ".join(band if band == of else f"{band} from {of}" for band, of in bands.items())
    return {"survey": f"{name}: {read or 'no band that the networks read'}; {UNCALIBRATED}"}


def left_out(tiles: "Sequence[LeftOut]") -> str:
    """Say which tiles a scan leaves out, reason by reason."""
    by_reason: dict[str, list[LeftOut]] = {}
    for tile in tiles:
        by_reason.setdefault(tile.reason, []).append(tile)
    return "; ".join(
        f"{counted(len(alike), 'tile')} {_REASONS[reason]}: {named([tile.tile for tile in alike])}{_cause(alike)}"
        for reason, alike in by_reason.items()
    )


def _cause(alike: "Sequence[LeftOut]") -> str:
    """Return why the first catalogue cannot be read; the other reasons say all."""
    if alike[0].reason != "unreadable_catalogue" or not alike[0].detail:
        return ""
    return f" ({'' if len(alike) == 1 else 'the first: '}{' '.join(alike[0].detail.split())})"


def unmatched(targets: "UnmatchedTargets") -> str:
    """Say how many targets have no source, and name the first few."""
    rest = targets.n - len(targets.examples)
    names = ", ".join(targets.examples) + (f" and {rest} more" if rest else "")
    return f"{counted(targets.n, 'target')} of {targets.n_targets:,} without a source{f': {names}' if names else ''}"
