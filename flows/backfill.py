"""The Prefect flow that does the nights that were missed: scan, judge and promote each."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from prefect import flow

from flows.cancelled_jobs import stops_jobs
from flows.commands.backfill import nights_to_do
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.many_nights import many_nights
from flows.night_steps import NightResult, gated_order
from flows.nights import nights_between

NO_OPTIONS = ScanOptions()


def orders_between(parameters: Mapping[str, Any], _day: date) -> list[ScanOrder]:
    """Return the scans of a run over many nights from the parameters that it was given."""
    options = ScanOptions.model_validate(parameters.get("scan", {}))
    if "ensemble" in parameters:
        options = options.model_copy(update={"ensemble": parameters["ensemble"]})
    since, until = (date.fromisoformat(str(parameters[name])[:10]) for name in ("since", "until"))
    nights = nights_between(since, until)
    return [gated_order(parameters["input_uri"], parameters["root_uri"], night, options) for night in nights]


@flow(name="backfill", persist_result=True, result_serializer="json", on_cancellation=[stops_jobs(orders_between)])
def backfill(
    input_uri: str,
    root_uri: str,
    since: date,
    until: date,
    again: bool = False,
    scan: ScanOptions = NO_OPTIONS,
    publish_to: str | None = None,
    limits: str | None = None,
    submit_to: str | None = None,
) -> list[NightResult]:
    """Scan, judge and promote every night whose tiles are there and that readers do not see; safe to repeat.

    The store says which nights are left, not Prefect: a night whose run was killed, or was never started, is found all the
    same. A refused or failed night does not keep the others away, and makes the run fail at its end.

    Args:
        input_uri: Folder or `s3://` prefix of tiles, which holds `{night}`.
        root_uri: Folder or `s3://` prefix of the catalogue.
        since: First night.
        until: Last night.
        again: Look at the nights that readers see, too, for tiles that have come later.
        scan: Options of the scans, as the flow `scan-night` has them; `gate` is always set.
        publish_to: Folder or `s3://` prefix of the HATS collection in which promoted nights are published.
        limits: TOML file of the gate's limits.
        submit_to: Job server of a Ray cluster, `http://HOST:8265`, on which each scan runs as a job of its own.

    Raises:
        BackfillError: some nights were refused or have failed.
        LensscanError: the parameters name no nights.
    """
    nights = nights_to_do(input_uri, root_uri, nights_between(since, until), again=again)
    return many_nights(nights, input_uri, root_uri, scan, publish_to=publish_to, limits=limits, submit_to=submit_to)
