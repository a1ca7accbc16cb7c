"""The scan within a flow: in this process, or in a Ray job that outlives it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from prefect import Flow, get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook

from flows.artifacts import flow_progress, show_summary
from flows.commands.scan_job import base_id, scan_by_job, stop_scan_job
from flows.commands.scan_options import ScanOrder, run_scan
from flows.commands.words import left_out, unmatched
from flows.retries import retried
from scanner.catalogue.paths import night_label
from scanner.workers.run import NightSummary

OrdersOf = Callable[[Mapping[str, Any], date], Iterable[ScanOrder]]


def scan_step(order: ScanOrder, submit_to: str | None) -> NightSummary:
    """Scan as asked for, here or in a Ray job, and show progress and summary.

    Raises:
        LensscanError: as `run_scan` and `scan_by_job`.
    """
    label, log = order.label, get_run_logger()
    if submit_to is None:
        with flow_progress(f"scan-{label}", f"Rows scored of {label}") as progress:
            summary = retried("scan", lambda: run_scan(order, progress))
    else:
        log.info("work %s", base_id(order))
        summary = retried("scan", lambda: scan_by_job(submit_to, order, log.info))
    show_summary(f"summary-{label}", _summary_markdown(summary))
    log.info("%d candidates of %d rows in %s", summary.n_candidates, summary.n_rows, summary.candidates_uri)
    return summary


def stops_jobs(orders_of: OrdersOf) -> FlowStateHook[..., Any]:
    """Return a hook that stops the Ray jobs of a cancelled flow run: Prefect ends the flow's own process only.

    A process that is killed in another way leaves its job alone, and the next run attaches to it. The hook may run in the
    worker's process, so it knows the run by its parameters alone.

    Args:
        orders_of: Returns the scans of a run from its parameters and the day that it was scheduled for.
    """

    def stop(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        del flow, state
        submit_to = flow_run.parameters.get("submit_to")
        if submit_to is None:
            return
        start = flow_run.expected_start_time or datetime.now(UTC)
        for order in orders_of(flow_run.parameters, start.date()):
            stop_scan_job(submit_to, order)

    return stop


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
    if summary.awaits_gate:
        without += "Readers see this night once it is promoted.\n\n"
    return (
        f"# Night {night_label(summary.night)}: {summary.n_candidates} candidates\n\n"
        f"`{summary.candidates_uri}`, plan `{summary.plan_id[:12]}`, ensemble {summary.ensemble}\n\n{published}{without}"
        f"| status | rows |\n| --- | ---: |\n{rows}\n"
    )
