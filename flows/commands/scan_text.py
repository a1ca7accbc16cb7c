"""The output of `lensscan scan` for people."""

from collections.abc import Sequence
from typing import Any

from flows.commands.words import counted, left_out, named, of_survey, unmatched
from scanner.catalogue.ledger import Outcome
from scanner.workers.run import NightSummary

_WORDS = {
    Outcome.COMMITTED: "scanned",
    Outcome.ALREADY_COMMITTED: "already done",
    Outcome.LOST_RACE: "done by another run meanwhile",
}


def scan_lines(summary: NightSummary) -> dict[str, Any]:
    """Return the lines of a summary, name to text."""
    outcomes = {Outcome(name): n for name, n in summary.units_by_outcome.items()}
    units = ", ".join(f"{n} {_WORDS[outcome]}" for outcome, n in outcomes.items())
    note = " (nothing to do)" if set(outcomes) == {Outcome.ALREADY_COMMITTED} else ""
    return {
        "night": summary.night or "none",
        "ensemble": summary.ensemble,
        **of_survey(summary.survey, summary.bands),
        f"{summary.unit_kind}s": units + note,
        **({"left out": left_out(summary.tiles_left_out)} if summary.tiles_left_out else {}),
        **({"sources": str(summary.sources)} if summary.sources else {}),
        **({"unmatched": unmatched(targets)} if (targets := summary.targets_unmatched) and targets.n else {}),
        **({"unusable": _unusable(summary.tiles_rejected)} if summary.tiles_rejected else {}),
        **{f"objects {status}": n for status, n in summary.rows_by_status.items()},
        "candidates": _candidates(summary),
        **({"replaces": _replaced(summary)} if summary.replaces else {}),
        **({"unfinished": _unfinished(summary)} if summary.unfinished else {}),
        **({"recovered": f"{done.n_recovered} of {done.n_injected} injected lenses"} if (done := summary.completeness) else {}),
        "catalogue": summary.candidates_uri,
        **({"gate": "readers see the night after `lensscan qa` and `lensscan promote`"} if summary.awaits_gate else {}),
        **({"published": summary.published} if summary.published else {}),
        "seconds": summary.seconds,
    }


def _candidates(summary: NightSummary) -> str:
    found = f"{summary.n_candidates} with p_lens of at least {summary.threshold:g}"
    return found if summary.prevalence else f"{found}; the ensemble is not calibrated, so p_lens is no probability"


def _unusable(tiles: Sequence[str]) -> str:
    found = f"{counted(len(tiles), 'tile')} of which no object could be scored: {named(tiles)}"
    return f"{found}; the column detail of the view scores says why"


def _unfinished(summary: NightSummary) -> str:
    plans = named([plan_id[:12] for plan_id in summary.unfinished])
    forget = f"lensscan forget CATALOGUE {summary.unfinished[0][:12]} --unfinished"
    return f"older plan {plans} of these {summary.unit_kind}s, which `reconcile` calls unequal; if no scan of it runs: {forget}"


def _replaced(summary: NightSummary) -> str:
    parts = (
        f"plan {old.plan_id[:12]} for {old.n_units_replaced} of {old.n_units} {summary.unit_kind}s" for old in summary.replaces
    )
    return ", ".join(parts)
