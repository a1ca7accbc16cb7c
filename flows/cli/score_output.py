"""The screen of `lensscan score`."""

from typing import Any

from flows.commands.words import counted, of_survey
from flows.terminal import print_lines, print_table
from scanner.vocabulary.prior import prior_text


def print_scores(summary: dict[str, Any]) -> None:
    """Print the best objects, then counts with the first reason of each rejection, what was guessed, and warnings."""
    if best := summary["best"]:
        shown = {"object_id": "object_id", "p_lens": "p_lens", "against the prior": "against_prior", "subclass": "subclass"}
        rows = [{title: row[key] for title, key in shown.items()} for row in best]
        print_table(f"Best {len(best)} of {counted(summary['scored'], 'scored object')}", list(shown), rows)
    lines = {
        "ensemble": summary["ensemble"],
        **(of_survey(summary["survey"], summary["bands"]) if "survey" in summary else {}),
        "prior": _prior(summary["prior"]),
        "rows": summary["rows"],
        "scored": summary["scored"],
        **{status: f"{summary[status]}, first {reason}" for status, reason in summary["reasons"].items()},
        "bands guessed": summary.get("guessed"),
        **{f"note {i}": _note(**of_kind) for i, of_kind in enumerate(summary["notes"].values(), 1)},
        **{f"warning {i}": line for i, line in enumerate(summary.get("warnings", []), 1)},
        "file": summary["file"] or "none; --out FILE keeps all scores",
    }
    print_lines({name: line for name, line in lines.items() if line not in {None, ""}})


def _note(rows: int, first: str) -> str:
    return f"{counted(rows, 'row')}, first {first}"


def _prior(prior: float | None) -> str:
    text = prior_text(prior)
    return text if prior is None else f"{text}; an image that says nothing has p_lens {prior:g}"
