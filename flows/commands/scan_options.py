"""The order of a scan and its options, as a flow or a Ray job gets them: plain values, which JSON can hold."""

from datetime import date
from typing import Annotated

from pydantic import Field

from infra.engine_name import EngineName
from infra.frozen import Frozen
from scanner.catalogue.paths import night_label
from scanner.catalogue.selection import Circle, Selection, column_names
from scanner.networks.threshold import Threshold
from scanner.vocabulary.choices import (
    MAPS_PER_UNIT,
    MATCH_RADIUS_ARCSEC,
    MOST_MAPS_PER_UNIT,
    MOST_MATCH_RADIUS_ARCSEC,
)


class ScanOptions(Frozen):
    """Everything about a scan but its input, its catalogue and its night; the flow `scan-night` describes each field."""

    ensemble: str | None = None
    candidate_threshold: Threshold | None = None
    workers: Annotated[int | None, Field(ge=1)] = None
    engine: EngineName | None = None
    exact: bool = False
    maps_per_unit: Annotated[int, Field(ge=0, le=MOST_MAPS_PER_UNIT)] = MAPS_PER_UNIT
    ray_address: str | None = None
    tiles: tuple[str, ...] = ()
    region: tuple[float, float, float] | None = None
    catalogues_uri: str | None = None
    survey: str | None = None
    where: str | None = None
    moc_uri: str | None = None
    targets_uri: str | None = None
    match_radius_arcsec: Annotated[float, Field(gt=0, le=MOST_MATCH_RADIUS_ARCSEC)] = MATCH_RADIUS_ARCSEC
    columns: str | None = None
    publish_to: str | None = None
    completeness: Annotated[int | None, Field(ge=1)] = None
    gate: bool = False

    def selection(self) -> Selection:
        """Return the tiles and sources to scan.

        Raises:
            PlanError: the region is not on the sky, or `columns` is no list of names.
        """
        return Selection(
            tiles=self.tiles,
            circle=Circle.of("region", *self.region) if self.region else None,
            catalogues_uri=self.catalogues_uri,
            where=self.where,
            moc_uri=self.moc_uri,
            targets_uri=self.targets_uri,
            match_radius_arcsec=self.match_radius_arcsec,
            columns=column_names(self.columns),
        )


class ScanOrder(Frozen):
    """A scan that was asked for."""

    input_uri: str
    """Folder or `s3://` prefix of tiles, or of shards; `{night}` in it stands for the night."""
    root_uri: str
    night: date | None
    options: ScanOptions = ScanOptions()

    @property
    def label(self) -> str:
        """Label of the night."""
        return night_label(self.night.isoformat() if self.night else None)

    @property
    def tiles_uri(self) -> str:
        """Input of the night."""
        return self.input_uri.replace("{night}", self.label)
