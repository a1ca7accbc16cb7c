"""The summary of `lensscan score`: the best objects, the reasons of rejections, guesses, and warnings."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.commands.words import counted
from scanner.catalogue.outcomes import SCORED, count_statuses
from scanner.networks.card import EnsembleCard
from scanner.scan.row_groups import BY_SOME_NETWORKS
from scanner.sources.manifests import Manifest
from scanner.vocabulary.prior import times_prior

N_BEST = 20
"""Largest number of objects on the screen."""
_GUESSED = "guessed: "


def summary_of(table: pa.Table, card: EnsembleCard, out: str | None) -> dict[str, Any]:
    """Return the numbers of scored and rejected rows, reasons, notes and the best rows; all rows if there is no file."""
    return {
        "ensemble": card.name,
        "prior": card.assumed_prevalence,
        "rows": table.num_rows,
        SCORED: 0,
        **count_statuses(table),
        "reasons": _first_reasons(table),
        "notes": _notes(table),
        "best": _best(table, card.assumed_prevalence),
        "file": out,
        **({"objects": table.to_pylist()} if out is None else {}),
    }


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
    """Return a line each on repeated ids, on rows that use one image for several bands, and on files that were skipped."""
    counts = Counter(manifest.object_ids.to_pylist())
    repeated = [object_id for object_id, n in counts.items() if n > 1]
    substituted = sum(_has_twice(manifest, row) for row in range(len(manifest)))
    skipped = manifest.skipped
    return [
        *([f"object ids of several rows: {len(repeated)}, the first {repeated[0]}"] if repeated else []),
        *([f"rows that use one image for several bands: {substituted}"] if substituted else []),
        *([f"FITS files of folders that show no sky: {len(skipped)}, the first {skipped[0]}"] if skipped else []),
    ]


def _has_twice(manifest: Manifest, row: int) -> bool:
    named = [references[row] for references in manifest.references.values() if references[row] is not None]
    return len(set(named)) < len(named)


def _notes(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Return, by kind of note, the number of scored rows that have one, and the first object with its note."""
    notes: dict[str, dict[str, Any]] = {}
    scored = table.filter(pc.equal(table["status"], SCORED))
    for row in scored.select(["object_id", "detail"]).to_pylist():
        for note in row["detail"].split("; "):
            if note and not note.startswith(_GUESSED):
                of_kind = notes.setdefault(_kind(note), {"rows": 0, "first": f"{row['object_id']}: {note}"})
                of_kind["rows"] += 1
    return notes


def _kind(note: str) -> str:
    """Return the words before the colon of a note, without numbers."""
    return " ".join(word for word in note.partition(":")[0].split() if not any(map(str.isdigit, word)))


def _first_reasons(table: pa.Table) -> dict[str, str]:
    """Return the first object and reason of each rejection, by status."""
    reasons: dict[str, str] = {}
    for row in table.select(["object_id", "status", "detail"]).to_pylist():
        if row["status"] != SCORED:
            reasons.setdefault(row["status"], f"{row['object_id']}: {row['detail']}")
    return reasons


def _best(table: pa.Table, prior: float | None) -> list[dict[str, Any]]:
    """Return the best rows; those that some networks scored alone come after all others."""
    scored = table.filter(pc.equal(table["status"], SCORED))
    by_some = pc.match_substring(scored["detail"], BY_SOME_NETWORKS)
    order = pc.sort_indices(scored.append_column("by_some", by_some), [("by_some", "ascending"), ("p_lens", "descending")])
    rows = scored.append_column("by_some", by_some).take(order.slice(0, N_BEST)).to_pylist()
    shown = ("object_id", "p_lens", "p_compound", "subclass")
    return [
        {**{name: row[name] for name in shown}, "against_prior": _against(row["p_lens"], None if row["by_some"] else prior)}
        for row in rows
    ]


def _against(p_lens: float, prior: float | None) -> str:
    return "not calibrated" if prior is None else f"{times_prior(p_lens, prior)} the prior"
