"""The steps of a night within a flow: scan it behind its gate, judge it, and promote it if it passes."""

from datetime import date
from typing import Literal

from prefect import get_run_logger

from flows.artifacts import flow_progress, show_summary
from flows.commands.quality import judge_night, promote_night
from flows.commands.quality_text import verdict_markdown
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.retries import retried
from flows.scan_step import scan_step
from infra.errors import LensscanError
from infra.frozen import Frozen
from scanner.catalogue.paths import night_label
from scanner.catalogue.verdicts import Verdict
from scanner.quality.promote import Promoted


class GateRefusedError(LensscanError):
    """A night has failed its quality gate; it is scanned, and readers do not see it."""


class NightResult(Frozen):
    """The end of a night."""

    night: str
    outcome: Literal["promoted", "seen before", "refused", "failed"]
    """`seen before` if readers saw this scan already, perhaps before a newer one; `failed` if the night could not be scanned or
    judged."""
    plan_id: str | None = None
    n_rows: int = 0
    n_candidates: int = 0
    published: str | None = None
    why: str = ""
    """Failures that its gate found, or the error; empty for a night that is shown."""


def gated_order(input_uri: str, root_uri: str, night: date | None, options: ScanOptions) -> ScanOrder:
    """Return the order to scan a night behind its gate; its promotion publishes it."""
    behind = options.model_copy(update={"gate": True, "publish_to": None})
    return ScanOrder(input_uri=input_uri, root_uri=root_uri, night=night, options=behind)


def night_steps(
    order: ScanOrder, *, publish_to: str | None, reference_night: date | None, limits: str | None, submit_to: str | None
) -> NightResult:
    """Scan, judge and promote a night; what is done already is not done again.

    Raises:
        LensscanError: a step failed, and no further try can help.
    """
    summary = scan_step(order, submit_to)
    result = NightResult(
        night=order.label,
        outcome="seen before",
        plan_id=summary.plan_id,
        n_rows=summary.n_rows,
        n_candidates=summary.n_candidates,
    )
    if not summary.awaits_gate and publish_to is None:
        return result
    if not summary.awaits_gate:
        # An earlier run may have ended between the promotion and the publication.
        _, version = promote_step(order.root_uri, summary.plan_id, order.label, publish_to=publish_to)
        return result.model_copy(update={"published": version})
    verdict = judge_step(order.root_uri, summary.plan_id, order.label, reference_night, limits)
    if not verdict.is_passed:
        return result.model_copy(update={"outcome": "refused", "why": verdict.why})
    _, version = promote_step(order.root_uri, summary.plan_id, order.label, publish_to=publish_to)
    return result.model_copy(update={"outcome": "promoted", "published": version})


def judge_step(root_uri: str, plan_id: str | None, label: str, reference_night: date | None, limits: str | None) -> Verdict:
    """Judge a plan, or else the newest one of a night, and show the verdict on the page of the run."""
    reference = reference_night.isoformat() if reference_night else None
    named = (label, None) if plan_id is None else (None, plan_id)
    with flow_progress(f"qa-{label}", f"Tiles measured of {label}") as progress:
        verdict = retried(
            "qa",
            lambda: judge_night(root_uri, named[0], plan=named[1], reference_label=reference, limits=limits, progress=progress),
        )
    show_summary(f"verdict-{label}", verdict_markdown(verdict), f"Checks of the quality gate of {label}")
    get_run_logger().info("night %s %s", label, "has passed" if verdict.is_passed else f"has failed: {verdict.why}")
    return verdict


def promote_step(
    root_uri: str,
    plan_id: str | None,
    label: str,
    *,
    publish_to: str | None = None,
    overrule: str | None = None,
    by: str | None = None,
) -> tuple[Promoted, str | None]:
    """Promote a plan, or else the newest one of a night, and publish the catalogue; return what is shown, and the version."""
    named = (label, None) if plan_id is None else (None, plan_id)
    done, version = retried(
        "promote", lambda: promote_night(root_uri, named[0], plan=named[1], overrule=overrule, by=by, publish_to=publish_to)
    )
    get_run_logger().info("readers see night %s: %s", night_label(done.night), done.candidates_uri)
    return done, version


def refuse(result: NightResult) -> None:
    """Raise the error that makes a flow run fail if its night was refused."""
    if result.outcome == "refused":
        raise GateRefusedError(f"night {result.night} has failed its quality gate: {result.why}")
