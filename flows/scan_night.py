"""The nightly Prefect flow: scan all tiles of a night."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.cancelled_jobs import stops_jobs
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.nights import dated, night_of, run_name
from flows.scan_step import scan_step
from infra.engine_name import EngineName
from scanner.networks.threshold import Threshold
from scanner.vocabulary.choices import (
    MAPS_PER_UNIT,
    MATCH_RADIUS_ARCSEC,
    MOST_MAPS_PER_UNIT,
    MOST_MATCH_RADIUS_ARCSEC,
)
from scanner.workers.run import NightSummary


def _orders(parameters: Mapping[str, Any], day: date) -> list[ScanOrder]:
    """Return the scan of a run from the parameters that it was given."""
    options = ScanOptions(**{name: value for name, value in parameters.items() if name in ScanOptions.model_fields})
    night = night_of(parameters.get("night"), day)
    return [ScanOrder(input_uri=parameters["input_uri"], root_uri=parameters["root_uri"], night=night, options=options)]


@flow(
    name="scan-night",
    flow_run_name=run_name,
    persist_result=True,
    result_serializer="json",
    on_cancellation=[stops_jobs(_orders)],
)
def scan_night(
    input_uri: str,
    root_uri: str,
    night: date | Literal["none"] | None = None,
    ensemble: str | None = None,
    candidate_threshold: Threshold | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
    engine: EngineName | None = None,
    exact: bool = False,
    maps_per_unit: Annotated[int, Field(ge=0, le=MOST_MAPS_PER_UNIT)] = MAPS_PER_UNIT,
    ray_address: str | None = None,
    tiles: tuple[str, ...] = (),
    region: tuple[float, float, float] | None = None,
    catalogues_uri: str | None = None,
    survey: str | None = None,
    where: str | None = None,
    moc_uri: str | None = None,
    targets_uri: str | None = None,
    match_radius_arcsec: Annotated[float, Field(gt=0, le=MOST_MATCH_RADIUS_ARCSEC)] = MATCH_RADIUS_ARCSEC,
    columns: str | None = None,
    publish_to: str | None = None,
    completeness: Annotated[int | None, Field(ge=1)] = None,
    gate: bool = False,
    submit_to: str | None = None,
) -> NightSummary:
    """Scan the night's tiles under `input_uri` into the catalogue at `root_uri`.

    A retry, a second run and a late run of a night are safe: only units that the catalogue does not hold yet are scanned. The
    scan is tried again after an error of the store, of the cluster or of a worker, and after no other.

    Args:
        input_uri: Folder or `s3://` prefix of tiles, or of shards; `{night}` in it stands for the night.
        root_uri: Folder or `s3://` prefix of the catalogue.
        night: Night that the catalogue rows carry; the scheduled day of the run by default, `none` for a survey without nights.
        ensemble: Name or folder of the ensemble; the configured one by default.
        candidate_threshold: Smallest `p_lens` of the candidates, or the ensemble's cut `list`, the default, or `deep`.
        workers: Scan processes; the configured number by default, else one for each core of the cluster or of this machine.
        engine: Inference engine; the configured one by default, else the best that a worker has.
        exact: Score every row in float32, not only those that could be candidates.
        maps_per_unit: Number of candidates of a unit, best first, that are stored with attribution maps.
        ray_address: Ray cluster to use; the configured one by default.
        tiles: Numbers of some tiles; by default all.
        region: RA, Dec and radius of a circle, in degrees; a tile with a source in the circle is scanned whole.
        catalogues_uri: Folder or `s3://` prefix of the tiles' catalogues, if they lie apart from the mosaics.
        survey: Survey that the tiles are of, by its name or as a TOML file that describes it; Euclid's by default.
        where: Condition on the columns of the tiles' catalogues that a source must meet, or `lens-hosts`.
        moc_uri: Area of the sky as a MOC, in FITS, JSON or ASCII; only sources inside it are scored.
        targets_uri: Table of positions; only the nearest source of each is scored.
        match_radius_arcsec: Largest distance of a source from its target.
        columns: Columns of the tiles' catalogues that the catalogue carries, separated by commas, or `none`.
        publish_to: Folder or `s3://` prefix of the HATS collection in which the catalogue is published after the scan; by
            default none.
        completeness: Number of simulated lenses to inject into the night after the scan, to measure which share of them it
            finds; by default none.
        gate: Keep the night from readers until it was judged and promoted, as the flows `qa-night` and `promote-night` do.
        submit_to: Job server of a Ray cluster, `http://HOST:8265`, on which the scan runs as a job of its own; by default this
            process scans. A job of the same scan that runs already is followed in place of a second one, and a cancelled flow
            run stops it.
    """
    order = ScanOrder(
        input_uri=input_uri,
        root_uri=root_uri,
        night=dated(night),
        options=ScanOptions(
            ensemble=ensemble,
            candidate_threshold=candidate_threshold,
            workers=workers,
            engine=engine,
            exact=exact,
            maps_per_unit=maps_per_unit,
            ray_address=ray_address,
            tiles=tiles,
            region=region,
            catalogues_uri=catalogues_uri,
            survey=survey,
            where=where,
            moc_uri=moc_uri,
            targets_uri=targets_uri,
            match_radius_arcsec=match_radius_arcsec,
            columns=columns,
            publish_to=publish_to,
            completeness=completeness,
            gate=gate,
        ),
    )
    return scan_step(order, submit_to)
