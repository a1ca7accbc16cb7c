"""Describe the input of a scan as its plan lists it: what is scanned, what is left out, and what will be rejected."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from infra.frozen import Frozen
from scanner.catalogue.plan import Plan
from scanner.catalogue.source_choice import SourceSelection, UnmatchedTargets
from scanner.catalogue.units import LeftOut, Unit
from scanner.sources.tiles import CATALOGUE
from scanner.vocabulary.geometry import Geometry


class UnitSize(NamedTuple):
    """Work of one unit."""

    n_rows: int
    """Rows to score."""
    read_bytes: int
    """Bytes of its files; those of a catalogue count twice, because the plan reads its ids before a worker reads it."""
    n_skipped: int = 0
    """Rows that a selection of sources leaves out."""


class PlannedInput(Frozen):
    """Numbers of a plan."""

    unit_kind: Literal["tile", "shard"]
    survey: str | None
    """Name of the survey that the tiles are of; None for shards."""
    bands: Mapping[str, str]
    """Band of the survey by each band of the networks that is read from tiles."""
    units: int
    rows: int
    """Number of objects; one that several units hold counts once."""
    rows_selected: int
    """Number of these that are scored; the others are skipped."""
    sources: SourceSelection | None = None
    """Selection of the tiles' sources; None if all are scored."""
    targets_unmatched: UnmatchedTargets | None = None
    """Targets without a source; None if there are no targets."""
    columns: tuple[str, ...] = ()
    """Columns of the tiles' catalogues that the scan's catalogue carries."""
    rows_in_overlaps: int
    """Number of further entries of objects that several units hold."""
    input_bytes: int
    """Size of all files."""
    tiles_left_out: tuple[LeftOut, ...]
    """Tiles that cannot be scanned, with the reasons."""
    tiles_without_bands: Mapping[str, tuple[str, ...]]
    """Bands that tiles lack: all rows of such a tile are rejected."""
    rows_without_bands: int
    """Number of rows of these tiles that would be scored."""


def planned_input(plan: Plan, geometry: Geometry) -> PlannedInput:
    """Return the numbers of a plan for networks that read the bands of `geometry`."""
    lacking = {unit.unit_id: bands for unit in plan.units if (bands := lacking_bands(unit, geometry))}
    return PlannedInput(
        unit_kind=plan.units[0].kind,
        survey=plan.survey_name,
        bands=plan.bands,
        units=len(plan.units),
        rows=plan.n_rows,
        rows_selected=plan.n_selected,
        sources=plan.sources,
        targets_unmatched=plan.unmatched,
        columns=tuple(column.name for column in plan.columns),
        rows_in_overlaps=sum(len(unit.owned_elsewhere) for unit in plan.units),
        input_bytes=sum(file.size for unit in plan.units for file in unit.files.values()),
        tiles_left_out=plan.left_out,
        tiles_without_bands=lacking,
        rows_without_bands=sum(unit.n_selected for unit in plan.units if unit.unit_id in lacking),
    )


def lacking_bands(unit: Unit, geometry: Geometry) -> tuple[str, ...]:
    """Return the bands of a geometry for which a tile has no mosaic."""
    return tuple(band for band in geometry.grids if band not in unit.files) if unit.kind == "tile" else ()


def unit_size(unit: Unit) -> UnitSize:
    """Return the work of a unit."""
    n_bytes = sum(file.size * (2 if role == CATALOGUE else 1) for role, file in unit.files.items())
    return UnitSize(unit.n_selected, n_bytes, unit.n_skipped)
