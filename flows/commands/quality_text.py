"""The verdict on a night and its promotion, for people and for programs."""

from pathlib import Path
from typing import Any

from scanner.catalogue.paths import night_label
from scanner.catalogue.verdicts import Verdict
from scanner.quality.promote import Promoted

CHECK_COLUMNS = ("check", "band", "result", "measured")


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as values of JSON."""
    return {"is_passed": verdict.is_passed, "number": verdict.number, **verdict.model_dump()}


def check_rows(verdict: Verdict) -> list[dict[str, str]]:
    """Return a row of a table for each check."""
    return [
        {"check": check.name, "band": check.band or "", "result": _result(check.is_good, check.value), "measured": check.text}
        for check in verdict.checks
    ]


def verdict_title(verdict: Verdict) -> str:
    """Say in one line whether a night has passed, and what it was compared with."""
    result = "has passed its quality gate" if verdict.is_passed else "has FAILED its quality gate"
    against = (
        f"compared with night {verdict.reference_night or 'undated'}" if verdict.reference_plan_id else "without a reference"
    )
    return f"night {night_label(verdict.night)} {result}, {against}"


def _result(is_good: bool, value: float | None) -> str:
    if not is_good:
        return "FAILED"
    return "passed" if value is not None else "not measured"


def promoted_lines(done: Promoted, version: str | None) -> dict[str, str | Path]:
    """Return the lines that tell what was promoted."""
    promotion = done.promotion
    overruled = promotion.overruled_because if promotion else None
    return {
        "night": night_label(done.night),
        "plan": done.plan_id[:12],
        "state": "readers see it from now on" if done.is_new else "readers saw it already (nothing to do)",
        **({"overruled": f"by {promotion.by}: {overruled}"} if promotion and overruled else {}),
        "catalogue": done.candidates_uri,
        **({"published": version} if version else {}),
    }


def verdict_markdown(verdict: Verdict) -> str:
    """Return a verdict as a page of Markdown."""
    rows = "\n".join(f"| {' | '.join(row[name] for name in CHECK_COLUMNS)} |" for row in check_rows(verdict))
    head = f"| {' | '.join(CHECK_COLUMNS)} |\n| {' | '.join('---' for _ in CHECK_COLUMNS)} |"
    return f"# {verdict_title(verdict)[0].upper()}{verdict_title(verdict)[1:]}\n\n{head}\n{rows}\n"
