"""The summary of `lensscan score`: the best objects, the reasons of rejections, guesses, and warnings."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scanner.catalogue.outcomes import SCORED, count_statuses
from scanner.networks.card import EnsembleCard
from scanner.sources.manifests import Manifest
from scanner.vocabulary.prior import times_prior

N_BEST = 20
"""Largest number of objects on the screen."""
_GUESSED = "guessed: "


def summary_of(table: pa.Table, card: EnsembleCard, out: str | None) -> dict[str, Any]:
    """Return the numbers of scored and rejected rows, reasons, notes and the best rows; all rows if there is no file."""
    details = Counter(note for note in _notes(table) if not note.startswith(_GUESSED))
    return {
        "ensemble": card.name,
        "prior": card.assumed_prevalence,
        "rows": table.num_rows,
        SCORED: 0,
        **count_statuses(table),
        "reasons": _first_reasons(table),
        "notes": dict(details),
        "best": _best(table, card.assumed_prevalence),
        "file": out,
        **({"objects": table.to_pylist()} if out is None else {}),
    }


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: `1 row`, `2 rows`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def guess_of(manifest: Manifest) -> str:
    """Return the commonest guess of the bands in one line; empty if nothing was guessed."""
    notes = Counter(note.removeprefix(_GUESSED) for note in manifest.notes if note)
    if not notes:
        return ""
    note, n = notes.most_common(1)[0]
    others = len([note for note in manifest.notes if note]) - n
    rest = f"; {counted(others, 'other object')}: see detail" if others else ""
    return f"{note} ({counted(n, 'object')}{rest})"


def warnings_of(manifest: Manifest) -> list[str]:
    """Return a line each on repeated ids and on rows that use one image for several bands, with their numbers."""
    counts = Counter(manifest.object_ids.to_pylist())
    repeated = [object_id for object_id, n in counts.items() if n > 1]
    substituted = sum(_has_twice(manifest, row) for row in range(len(manifest)))
    lines = [f"object ids of several rows: {len(repeated)}, the first {repeated[0]}"] if repeated else []
    return lines + ([f"rows that use one image for several bands: {substituted}"] if substituted else [])


def _has_twice(manifest: Manifest, row: int) -> bool:
    named = [references[row] for references in manifest.references.values() if references[row] is not None]
    return len(set(named)) < len(named)


def _notes(table: pa.Table) -> list[str]:
    scored = table.filter(pc.equal(table["status"], SCORED))
    return [note for detail in scored["detail"].to_pylist() for note in detail.split("; ") if note]


def _first_reasons(table: pa.Table) -> dict[str, str]:
    """Return the first object and reason of each rejection, by status."""
    reasons: dict[str, str] = {}
    for row in table.select(["object_id", "status", "detail"]).to_pylist():
        if row["status"] != SCORED:
            reasons.setdefault(row["status"], f"{row['object_id']}: {row['detail']}")
    return reasons


def _best(table: pa.Table, prior: float | None) -> list[dict[str, Any]]:
    scored = table.filter(pc.equal(table["status"], SCORED)).sort_by([("p_lens", "descending")]).slice(0, N_BEST)
    rows = scored.select(["object_id", "p_lens", "p_compound", "subclass"]).to_pylist()
    return [{**row, "against_prior": _against(row["p_lens"], prior)} for row in rows]


def _against(p_lens: float, prior: float | None) -> str:
    return "not calibrated" if prior is None else f"{times_prior(p_lens, prior)} the prior"
