"""Texts that the commands about a published collection print."""

from typing import TYPE_CHECKING

from flows.commands.words import counted, named

if TYPE_CHECKING:
    from scanner.hats.publish import Publication
    from scanner.hats.versions import Version

VERSION_COLUMNS = ("version", "created", "current", "candidates", "nights", "plans", "MB")
_MOST_NIGHTS = 3
"""Largest number of nights that are named one by one."""


def publication_lines(done: "Publication") -> dict[str, object]:
    """Return the lines about a publication, name to text."""
    what = {"promoted": "published", "shown_again": "shown again", "unchanged": "unchanged"}[done.outcome]
    files = f"{done.n_leaves}, {done.n_leaves_written} of them new"
    return {
        what: done.version,
        "candidates": f"{done.n_rows} of {counted(done.n_nights, 'night')}",
        "known lenses": _known(done),
        **({"left out": f"{done.n_without_position} without a position"} if done.n_without_position else {}),
        "files": files,
        **({"mended": named(done.mended)} if done.mended else {}),
        **({"removed": ", ".join(done.removed)} if done.removed else {}),
        "collection": done.collection_uri,
        "seconds": done.seconds,
    }


def _known(done: "Publication") -> str:
    if done.known is None:
        return "not matched; `--known FILE` names a table of them, and `pip install --no-deps lenscat` installs one"
    return f"{counted(done.n_known, 'candidate')} within {done.known.limit_arcsec:g} arcsec of one in {done.known.label}"


def version_row(version: "Version") -> dict[str, object]:
    """Return a version as a row of the table of `lensscan versions`."""
    nights = list(version.nights)
    named = ", ".join(nights) if len(nights) <= _MOST_NIGHTS else f"{len(nights)}, {nights[0]} to {nights[-1]}"
    plans = dict.fromkeys(plan[:8] for ids in version.nights.values() for plan in ids)
    values = (
        version.version,
        f"{version.created:%Y-%m-%d %H:%M:%S}",
        "yes" if version.is_current else "",
        version.n_rows,
        named,
        ", ".join(plans) if len(plans) <= _MOST_NIGHTS else len(plans),
        round(version.n_bytes / 1e6, 1),
    )
    return dict(zip(VERSION_COLUMNS, values, strict=True))
