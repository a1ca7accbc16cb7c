"""The nightly Prefect flow: scan all tiles of a night."""

from datetime import date
from typing import Annotated, Literal

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import flow_progress, show_summary
from flows.commands.scan import scan_tiles
from flows.commands.words import left_out, unmatched
from infra.engine_name import EngineName
from scanner.catalogue.paths import UNDATED
from scanner.catalogue.selection import Circle, Selection, column_names
from scanner.vocabulary.choices import MAPS_PER_UNIT, MATCH_RADIUS_ARCSEC, MOST_MAPS_PER_UNIT, MOST_MATCH_RADIUS_ARCSEC
from scanner.workers.run import NightSummary


@flow(name="scan-night", retries=1, retry_delay_seconds=5, persist_result=True, result_serializer="json")
def scan_night(
    input_uri: str,
    root_uri: str,
    night: date | Literal["none"] | None = None,
    ensemble: str | None = None,
    candidate_threshold: Annotated[float | None, Field(ge=0, le=1)] = None,
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
) -> NightSummary:
    """Scan the night's tiles under `input_uri` into the catalogue at `root_uri`.

    A retry, a second run and a late run of a night are safe: only units that the catalogue does not hold yet are scanned.

    Args:
        input_uri: Folder or `s3://` prefix of tiles, or of shards; `{night}` in it stands for the night.
        root_uri: Folder or `s3://` prefix of the catalogue.
        night: Night that the catalogue rows carry; the scheduled day of the run by default, `none` for a survey without nights.
        ensemble: Name or folder of the ensemble; the configured one by default.
        candidate_threshold: Smallest `p_lens` of the candidates; by default the ensemble's own.
        workers: Scan processes; the configured number by default.
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
    """
    dated = None if night == "none" else night or flow_run.scheduled_start_time.date()
    label = dated.isoformat() if dated else UNDATED
    with flow_progress(f"scan-{label}", f"Rows scored of {label}") as progress:
        summary = scan_tiles(
            input_uri.replace("{night}", label),
            root_uri,
            dated,
            ensemble=ensemble,
            candidate_threshold=candidate_threshold,
            workers=workers,
            engine=engine,
            exact=exact,
            maps_per_unit=maps_per_unit,
            ray_address=ray_address,
            survey=survey,
            selection=lambda: Selection(
                tiles=tiles,
                circle=Circle.of("region", *region) if region else None,
                catalogues_uri=catalogues_uri,
                where=where,
                moc_uri=moc_uri,
                targets_uri=targets_uri,
                match_radius_arcsec=match_radius_arcsec,
                columns=column_names(columns),
            ),
            publish_to=publish_to,
            completeness=completeness,
            gate=gate,
            progress=progress,
        )
    show_summary(f"summary-{label}", _summary_markdown(summary))
    get_run_logger().info("%d candidates of %d rows in %s", summary.n_candidates, summary.n_rows, summary.candidates_uri)
    return summary


def _summary_markdown(summary: NightSummary) -> str:
    rows = "\n".join(f"| {status} | {n} |" for status, n in summary.rows_by_status.items())
    without = f"Left out: {left_out(summary.tiles_left_out)}\n\n" if summary.tiles_left_out else ""
    if summary.sources:
        without += f"Sources: {summary.sources}\n\n"
    if summary.targets_unmatched and summary.targets_unmatched.n:
        without += f"Targets: {unmatched(summary.targets_unmatched)}\n\n"
    published = f"Published as `{summary.published}`\n\n" if summary.published else ""
    if done := summary.completeness:
        without += f"Injected lenses recovered: {done.n_recovered} of {done.n_injected}\n\n"
    return (
        f"# Night {summary.night or UNDATED}: {summary.n_candidates} candidates\n\n"
        f"`{summary.candidates_uri}`, plan `{summary.plan_id[:12]}`, ensemble {summary.ensemble}\n\n{published}{without}"
        f"| status | rows |\n| --- | ---: |\n{rows}\n"
    )
