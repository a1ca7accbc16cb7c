"""The nightly Prefect flow: scan a night behind its gate, judge it, and promote it if it passes."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from prefect import flow

from flows.cancelled_jobs import stops_jobs
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.night_steps import NightResult, gated_order, night_steps, refuse
from flows.nights import check_input, dated, night_of, run_name

NO_OPTIONS = ScanOptions()


def _orders(parameters: Mapping[str, Any], day: date) -> list[ScanOrder]:
    """Return the scan of a run from the parameters that it was given."""
    options = ScanOptions.model_validate(parameters.get("scan", {}))
    night = night_of(parameters.get("night"), day)
    return [gated_order(parameters["input_uri"], parameters["root_uri"], night, options)]


@flow(
    name="nightly", flow_run_name=run_name, persist_result=True, result_serializer="json", on_cancellation=[stops_jobs(_orders)]
)
def nightly(
    input_uri: str,
    root_uri: str,
    night: date | Literal["none"] | None = None,
    scan: ScanOptions = NO_OPTIONS,
    publish_to: str | None = None,
    reference_night: date | None = None,
    limits: str | None = None,
    submit_to: str | None = None,
) -> NightResult:
    """Scan a night, judge it, and show it to readers if it passes; a late, second or repeated run does only what is left.

    The run fails if the night is refused: `lensscan status` and the artefact `verdict-NIGHT` say why, and `promote-night` can
    overrule the gate.

    Args:
        input_uri: Folder or `s3://` prefix of tiles, or of shards; it holds `{night}`, unless `night` is `none`.
        root_uri: Folder or `s3://` prefix of the catalogue.
        night: Night to scan; the scheduled day of the run by default, `none` for a survey without nights.
        scan: Options of the scan, as the flow `scan-night` has them; `gate` is always set.
        publish_to: Folder or `s3://` prefix of the HATS collection in which a promoted night is published.
        reference_night: Night to compare with; by default the nearest one that has passed.
        limits: TOML file of the gate's limits.
        submit_to: Job server of a Ray cluster, `http://HOST:8265`, on which the scan runs as a job of its own.

    Raises:
        GateRefusedError: the night has failed its quality gate.
        NightsError: `input_uri` does not hold `{night}`.
        LensscanError: a step failed.
    """
    order = gated_order(input_uri, root_uri, dated(night), scan)
    check_input(input_uri, order.night)
    publish_to = publish_to or scan.publish_to
    result = night_steps(order, publish_to=publish_to, reference_night=reference_night, limits=limits, submit_to=submit_to)
    refuse(result)
    return result
