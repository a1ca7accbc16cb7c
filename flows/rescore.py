"""The Prefect flow that scans nights again with another ensemble."""

from datetime import date

from prefect import flow

from flows.backfill import NO_OPTIONS, orders_between
from flows.cancelled_jobs import stops_jobs
from flows.commands.backfill import nights_to_do
from flows.commands.scan_options import ScanOptions
from flows.many_nights import many_nights
from flows.night_steps import NightResult
from flows.nights import nights_between


@flow(name="rescore", persist_result=True, result_serializer="json", on_cancellation=[stops_jobs(orders_between)])
def rescore(
    input_uri: str,
    root_uri: str,
    since: date,
    until: date,
    ensemble: str,
    scan: ScanOptions = NO_OPTIONS,
    publish_to: str | None = None,
    limits: str | None = None,
    submit_to: str | None = None,
) -> list[NightResult]:
    """Scan nights again with another ensemble; readers see the old scan of a night until the new one has passed its gate.

    Nights that this ensemble has scanned already are left as they are.

    Args:
        input_uri: Folder or `s3://` prefix of tiles, which holds `{night}`.
        root_uri: Folder or `s3://` prefix of the catalogue.
        since: First night.
        until: Last night.
        ensemble: Name or folder of the ensemble.
        scan: Other options of the scans, as the flow `scan-night` has them.
        publish_to: Folder or `s3://` prefix of the HATS collection in which promoted nights are published.
        limits: TOML file of the gate's limits.
        submit_to: Job server of a Ray cluster, `http://HOST:8265`, on which each scan runs as a job of its own.

    Raises:
        BackfillError: some nights were refused or have failed.
        LensscanError: the parameters name no nights.
    """
    nights = nights_to_do(input_uri, root_uri, nights_between(since, until), again=True)
    options = scan.model_copy(update={"ensemble": ensemble})
    return many_nights(nights, input_uri, root_uri, options, publish_to=publish_to, limits=limits, submit_to=submit_to)
