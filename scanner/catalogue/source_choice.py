"""The choice of the sources of a tile that a scan scores: by a condition, by an area, and by targets on the sky."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from infra.frozen import Frozen
from infra.provenance import sha256_bytes
from scanner.catalogue.carried import near_names
from scanner.catalogue.selection import Selection
from scanner.catalogue.units import MAX_EXAMPLES, PlanError
from scanner.sources.conditions import Condition
from scanner.sources.moc import Moc, read_moc
from scanner.sources.positions import positions_bytes, positions_in
from scanner.sources.targets import Nearest, Targets, nearest_of_all
from scanner.sources.tiles import LacksColumnsError, TileCatalogue
from scanner.vocabulary.source_presets import MER_COLUMNS, SOURCE_PRESETS


class TargetList(Frozen):
    """A file of targets as a plan records it."""

    sha256: str
    """Digest of the file's content."""
    n_targets: int
    radius_arcsec: float


class Area(Frozen):
    """An area of the sky as a plan records it: equal areas are equal, whatever their files."""

    sha256: str
    """`Moc.sha256`, the digest of the cells."""
    square_degrees: float

    def __str__(self) -> str:
        size = self.square_degrees
        return f"inside a MOC of {f'{size:,.0f}' if size >= 100 else f'{size:.3g}'} square degrees"


class SourceSelection(Frozen):
    """The selection of sources as a plan records it."""

    where: str | None = None
    """Condition in lower case, with single spaces."""
    targets: TargetList | None = None
    area: Area | None = Field(default=None, exclude_if=lambda value: value is None)
    """Area in which the sources lie; not stored without one, so that plans of earlier versions keep their ids."""

    def __str__(self) -> str:
        parts = [str(part) for part in (self.where, self.area) if part]
        if self.targets:
            n, radius = self.targets.n_targets, self.targets.radius_arcsec
            parts.append(f"nearest within {radius:g} arcsec of {n} target{'s' if n != 1 else ''}")
        return ", ".join(parts)


class UnmatchedTargets(Frozen):
    """Targets that have no source."""

    n_targets: int
    """Number of all targets."""
    n: int = Field(ge=0)
    examples: tuple[str, ...] = ()
    """Names of the first few."""


class Chosen(NamedTuple):
    """Choice among the sources of one tile."""

    is_selected: NDArray[np.bool_] | None
    """Sources that meet the condition and lie in the area, `[n]`; None without either."""
    nearest: Nearest | None
    """Targets with a source among these, whose rows count all sources; None without targets."""

    @property
    def has_target(self) -> bool:
        return self.nearest is not None and len(self.nearest.targets) > 0

    def mask(self, n_sources: int) -> NDArray[np.bool_] | None:
        """Return which sources are scored, `[n]`; None for all."""
        if self.nearest is None:
            return self.is_selected
        mask = np.zeros(n_sources, bool)
        mask[self.nearest.sources] = True
        return mask


EVERY_SOURCE = Chosen(None, None)


@dataclass(frozen=True)
class SourceChooser:
    """A selection of sources, ready to be applied to tiles."""

    condition: Condition | None
    moc: Moc | None
    targets: Targets | None
    columns: tuple[str, ...]
    """Columns to carry, where a tile has them."""
    asked: tuple[str, ...]
    """Those of them that the user asked for."""
    record: SourceSelection | None
    """None if every source is taken."""

    @classmethod
    def of(cls, selection: Selection) -> Self:
        """Parse the condition, and read the area and the targets.

        Raises:
            ConditionError: the condition is none.
            MocError: the area's file is no MOC, or covers nothing.
            ManifestError: the area or the targets cannot be read.
            PlanError: the file of targets holds none.
        """
        condition = None if selection.where is None else Condition(_condition(selection.where))
        moc = None if selection.moc_uri is None else read_moc(selection.moc_uri)
        targets, listed = None, None
        if selection.targets_uri is not None:
            data = positions_bytes(selection.targets_uri)
            targets = Targets(positions_in(data, selection.targets_uri), selection.match_radius_arcsec)
            if not len(targets):
                raise PlanError(f"--targets: {selection.targets_uri} holds no position")
            listed = TargetList(sha256=sha256_bytes(data), n_targets=len(targets), radius_arcsec=selection.match_radius_arcsec)
        record = SourceSelection(
            where=condition.text if condition else None,
            targets=listed,
            area=Area(sha256=moc.sha256, square_degrees=moc.square_degrees) if moc else None,
        )
        asked = selection.columns or ()
        columns = MER_COLUMNS if selection.columns is None else asked
        return cls(condition, moc, targets, columns, asked, None if record == SourceSelection() else record)

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that a tile must have."""
        return self.condition.columns if self.condition else ()

    @property
    def without_source(self) -> str:
        """Say that no target has a source."""
        listed = self.record.targets if self.record else None
        meeting = " that meets the condition" if self.condition else ""
        meeting += " inside the MOC" if self.moc else ""
        near = f"within {listed.radius_arcsec:g} arcsec of any of {listed.n_targets} targets" if listed else ""
        return f"no source{meeting} lies {near}"

    def of_tile(self, catalogue: TileCatalogue) -> Chosen | None:
        """Choose sources of a tile whose catalogue was read with the columns `needed`; None if the area holds none of them.

        Raises:
            ConditionError: the condition does not fit the types of the columns.
        """
        is_selected = None if self.moc is None else _inside(self.moc, catalogue)
        if is_selected is not None and not is_selected.any():
            return None
        if self.condition is not None:
            others = pa.table({"": pa.nulls(len(catalogue.ra))}) if catalogue.others is None else catalogue.others
            meets = self.condition.mask(others)
            is_selected = meets if is_selected is None else meets & is_selected
        if self.targets is None:
            return Chosen(is_selected, None)
        rows = np.flatnonzero(catalogue.has_position if is_selected is None else catalogue.has_position & is_selected)
        nearest = self.targets.nearest(catalogue.ra[rows], catalogue.dec[rows])
        return Chosen(is_selected, nearest._replace(sources=rows[nearest.sources]))

    def among_tiles(self, chosen: Sequence[Chosen], is_own: Sequence[NDArray[np.bool_]]) -> list[Chosen]:
        """Give each target to the tile of its nearest source, as the tile sees it that owns the source.

        Tiles that overlap measure a source twice. The measurement of the tile that does not own it would select no row.

        Args:
            chosen: Choice in each tile.
            is_own: Sources that each tile owns, `[n]`.
        """
        if self.targets is None:
            return list(chosen)
        found = [one.nearest.among(own) for one, own in zip(chosen, is_own, strict=True) if one.nearest is not None]
        nearest = nearest_of_all(found, len(self.targets))
        return [one._replace(nearest=near) for one, near in zip(chosen, nearest, strict=True)]

    def unmatched(self, chosen: Sequence[Chosen]) -> UnmatchedTargets | None:
        """Return the targets that no tile has a source for; None without targets."""
        if self.targets is None:
            return None
        found = [one.nearest.targets for one in chosen if one.nearest is not None]
        without = np.setdiff1d(np.arange(len(self.targets)), np.concatenate([np.empty(0, np.int64), *found]))
        examples = tuple(str(self.targets.names[int(i)].as_py()) for i in without[:MAX_EXAMPLES])
        return UnmatchedTargets(n_targets=len(self.targets), n=len(without), examples=examples)


def _inside(moc: Moc, catalogue: TileCatalogue) -> NDArray[np.bool_]:
    """Return which sources of a tile, `[n]`, lie in an area; one without a position lies in none."""
    placed = catalogue.has_position
    is_inside = np.zeros(len(placed), bool)
    is_inside[placed] = moc.contains(catalogue.ra[placed], catalogue.dec[placed])
    return is_inside


def lacking(error: LacksColumnsError) -> str:
    """Say which columns a tile's catalogue lacks, and which names are like them."""
    return f"no column {', '.join(f'{name}{near_names(name, error.known)}' for name in error.missing)}"


def _condition(where: str) -> str:
    preset = SOURCE_PRESETS.get(where.strip().lower())
    return preset.condition if preset else where
