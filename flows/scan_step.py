"""The scan within a flow: in this process, or in a Ray job that outlives it."""

from prefect import get_run_logger
from prefect.exceptions import TerminationSignal

from flows.artifacts import flow_progress, show_summary
from flows.cancelled_jobs import is_cancelled
from flows.commands.scan import run_scan
from flows.commands.scan_job import base_id, scan_by_job, stop_scan_job
from flows.commands.scan_options import ScanOrder
from flows.commands.words import left_out, unmatched
from flows.retries import retried
from infra.progress import Progress
from scanner.catalogue.paths import night_label
from scanner.workers.run import NightSummary


def scan_step(order: ScanOrder, submit_to: str | None) -> NightSummary:
    """Scan as asked for, here or in a Ray job, and show progress and summary.

    Raises:
        LensscanError: as `run_scan` and `scan_by_job`.
    """
    label, log = order.label, get_run_logger()
    with flow_progress(f"scan-{label}", f"Rows scored of {label}") as progress:
        if submit_to is None:
            summary = retried("scan", lambda: run_scan(order, progress))
        else:
            summary = _scan_in_job(order, submit_to, progress)
    show_summary(f"summary-{label}", summary_markdown(summary, order.root_uri), f"Rows and candidates of {label}")
    log.info("%d candidates of %d rows in %s", summary.n_candidates, summary.n_rows, summary.candidates_uri)
    return summary


def _scan_in_job(order: ScanOrder, submit_to: str, progress: Progress) -> NightSummary:
    log = get_run_logger()
    log.info("work %s", base_id(order))
    try:
        return retried("scan", lambda: scan_by_job(submit_to, order, log.info, progress))
    except TerminationSignal:
        # At once: the hook of the flow waits for the end of this process, and then imports everything again.
        if is_cancelled():
            log.info("stopped %s", ", ".join(stop_scan_job(submit_to, order)) or "no Ray job")
        raise


def summary_markdown(summary: NightSummary, root_uri: str) -> str:
    """Return counts and places of a scanned night for the page of its run."""
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
    # Readers of a night that waits have nothing to open yet, and the name of its file has the length of two digests.
    place = root_uri if summary.awaits_gate else summary.candidates_uri
    return (
        f"# Night {night_label(summary.night)}: {summary.n_candidates} candidates\n\n"
        f"`{place}`, plan `{summary.plan_id[:12]}`, ensemble {summary.ensemble}\n\n{published}{without}"
        f"| status | rows |\n| --- | ---: |\n{rows}\n"
    )
