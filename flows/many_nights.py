"""Many nights within one flow run: one after the other, each by itself, so that a bad night does not keep the others away."""

from collections.abc import Sequence
from datetime import date

from prefect import get_run_logger

from flows.artifacts import flow_progress, show_summary
from flows.commands.backfill import BackfillError
from flows.commands.scan_options import ScanOptions
from flows.night_steps import NightResult, gated_order, night_steps
from infra.errors import LensscanError

COLUMNS = ("night", "outcome", "rows", "candidates", "why")


def many_nights(
    nights: Sequence[date],
    input_uri: str,
    root_uri: str,
    scan: ScanOptions,
    *,
    publish_to: str | None,
    limits: str | None,
    submit_to: str | None,
) -> list[NightResult]:
    """Do the nights in order, and show a table of their outcomes.

    Raises:
        BackfillError: some nights were refused or have failed; the others are done, and the table and the message name them.
    """
    results = []
    with flow_progress("nights", "Nights done") as progress:
        for done, night in enumerate(nights):
            progress(done, len(nights), [night.isoformat()])
            order = gated_order(input_uri, root_uri, night, scan)
            try:
                result = night_steps(
                    order, publish_to=publish_to or scan.publish_to, reference_night=None, limits=limits, submit_to=submit_to
                )
            except (LensscanError, OSError) as error:
                result = NightResult(night=order.label, outcome="failed", why=" ".join(str(error).split()))
                get_run_logger().error("night %s: %s", order.label, result.why)
            results.append(result)
        progress(len(nights), len(nights))
    show_summary("nights", nights_markdown(results), "Outcome of each night")
    if bad := [result for result in results if result.outcome in {"refused", "failed"}]:
        named = "; ".join(f"{result.night} {result.outcome}: {result.why}" for result in bad)
        raise BackfillError(f"{len(bad)} of {len(results)} nights are not shown: {named}")
    return results


def nights_markdown(results: Sequence[NightResult]) -> str:
    """Return a table of the nights."""
    rows = [(r.night, r.outcome, r.n_rows, r.n_candidates, r.why.replace("|", "/")) for r in results]
    body = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    return f"# {len(results)} nights\n\n| {' | '.join(COLUMNS)} |\n| --- | --- | ---: | ---: | --- |\n{body}\n"
