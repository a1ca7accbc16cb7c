"""The options of a scan as a flow or a Ray job gets them: plain values, which JSON can hold."""

from datetime import date
from typing import Annotated

from pydantic import Field

from flows.commands.scan import scan_tiles
from infra.engine_name import EngineName
from infra.frozen import Frozen
from infra.progress import NamingProgress
from scanner.catalogue.paths import night_label
from scanner.catalogue.selection import Circle, Selection, column_names
from scanner.vocabulary.choices import MAPS_PER_UNIT, MATCH_RADIUS_ARCSEC, MOST_MAPS_PER_UNIT, MOST_MATCH_RADIUS_ARCSEC
from scanner.workers.run import NightSummary


class ScanOptions(Frozen):
    """Everything about a scan but its input, its catalogue and its night; the flow `scan-night` describes each field."""

    ensemble: str | None = None
    candidate_threshold: Annotated[float | None, Field(ge=0, le=1)] = None
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


def run_scan(order: ScanOrder, progress: NamingProgress) -> NightSummary:
    """Scan as asked for; raises as `scan_tiles`."""
    options = order.options

    def selection() -> Selection:
        return Selection(
            tiles=options.tiles,
            circle=Circle.of("region", *options.region) if options.region else None,
            catalogues_uri=options.catalogues_uri,
            where=options.where,
            moc_uri=options.moc_uri,
            targets_uri=options.targets_uri,
            match_radius_arcsec=options.match_radius_arcsec,
            columns=column_names(options.columns),
        )

    return scan_tiles(
        order.tiles_uri,
        order.root_uri,
        order.night,
        ensemble=options.ensemble,
        candidate_threshold=options.candidate_threshold,
        workers=options.workers,
        engine=options.engine,
        exact=options.exact,
        maps_per_unit=options.maps_per_unit,
        ray_address=options.ray_address,
        survey=options.survey,
        selection=selection,
        publish_to=options.publish_to,
        completeness=options.completeness,
        gate=options.gate,
        progress=progress,
    )
