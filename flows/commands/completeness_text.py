"""The completeness of a night in words, tables and JSON."""

from typing import Any

from flows.commands.words import counted
from scanner.catalogue.injected import Injected
from scanner.completeness import EDGES, Cell
from scanner.vocabulary.kinds import KINDS

_WORDS = {"einstein_radius_arcsec": "arcsec", "arc_snr": "S/N"}
_TITLES = {"einstein_radius_arcsec": "Einstein radius", "arc_snr": "S/N of the arcs"}
"""Heads of the columns of ranges, and ends of the tables' titles."""


def completeness_json(injected: Injected, *, is_new: bool) -> dict[str, Any]:
    """Return everything for programs: what was asked, what came of it, and the completeness of kinds and cells."""
    sample = injected.sample()
    return {
        **injected.arguments.model_dump(mode="json"),
        **injected.facts.model_dump(mode="json"),
        "is_new": is_new,
        "n_injected": injected.table.num_rows,
        "n_recovered": int(sample.is_recovered.sum()),
        "kinds": {kind: sample.at(kind).model_dump() for kind in kinds_of(injected)},
        "cells": [_cell_json(cell) for cell in sample.cells() if cell.n],
    }


def completeness_lines(injected: Injected, *, is_new: bool) -> dict[str, Any]:
    """Return lines for people, name to text."""
    about, facts, sample = injected.arguments, injected.facts, injected.sample()
    units = f"{counted(len(facts.units), 'tile or shard', 'tiles or shards')} of {facts.n_units}"
    note = "" if is_new else " (nothing to do)"
    return {
        "night": about.night or "none",
        "ensemble": about.ensemble_name,
        "injected": f"{injected.table.num_rows} of {about.n} lenses, into galaxies of {units}{note}",
        "recovered": f"{int(sample.is_recovered.sum())} with p_lens of at least {about.threshold:g}",
        **{f"of {kind}": str(sample.at(kind)) for kind in kinds_of(injected)},
        "hosts": facts.hosts,
        "left out": facts.left_out_in_words,
        "PSF": facts.psf,
        "realism": facts.realism_in_words,
    }


def completeness_tables(injected: Injected) -> list[tuple[str, list[str], list[dict[str, str]]]]:
    """Return title, columns and rows of a table for each property: its ranges downwards, kinds across, in percent."""
    sample, kinds = injected.sample(), kinds_of(injected)
    tables = []
    for name, edges in EDGES.items():
        rows: dict[str, dict[str, str]] = {}
        for cell in sample.cells({name: edges}):
            text = range_text(cell.bounds[name])
            row = rows.setdefault(text, {_WORDS[name]: text, **dict.fromkeys(kinds, "")})
            row[cell.kind] = _cell_text(cell)
        filled = [row for row in rows.values() if any(row[kind] for kind in kinds)]
        tables.append((f"Completeness in %, by {_TITLES[name]}", [_WORDS[name], *kinds], filled))
    return tables


def range_text(bounds: tuple[float, float]) -> str:
    """Return a range such as `0.5\u20130.75`, `below 0.5` or `from 1.5`."""
    low, high = bounds
    if low <= 0:
        return f"below {high:g}"
    return f"{low:g}\u2013{high:g}" if high < float("inf") else f"from {low:g}"


def kinds_of(injected: Injected) -> list[str]:
    """Return the kinds of the injected lenses, in the order of the vocabulary."""
    there = set(injected.table["kind"].to_pylist())
    return [kind for kind in KINDS if kind in there]


def _cell_text(cell: Cell) -> str:
    found = cell.completeness
    if found is None:
        return ""
    return f"{100 * found.value:.0f} ({100 * found.low:.0f}\u2013{100 * found.high:.0f}) of {cell.n}"


def _cell_json(cell: Cell) -> dict[str, Any]:
    bounds = {name: [low, None if high == float("inf") else high] for name, (low, high) in cell.bounds.items()}
    found = cell.completeness
    return {"kind": cell.kind, **bounds, "n_recovered": cell.n_recovered, **(found.model_dump() if found else {})}
