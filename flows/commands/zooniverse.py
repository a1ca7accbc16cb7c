"""Send candidates to Zooniverse, and take its classifications as votes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.votes import existing_log
from infra.store.storage import absolute, read_bytes
from scanner.catalogue.query import query
from scanner.review.votes.grades import GRADES, Grade
from scanner.review.votes.merge import Merged, merge
from scanner.review.zooniverse.classifications import Imported, Tasks, votes_from_export
from scanner.review.zooniverse.manifest import Written, ZooniverseError, subjects_of, write_manifest

if TYPE_CHECKING:
    from scanner.catalogue.wanted import Wanted


def export_subjects(catalogue: str, wanted: "Wanted", folder: str, *, overwrite: bool) -> Written:
    """Write pictures and a manifest of the wanted candidates to a local folder.

    Raises:
        ZooniverseError: the folder is no local folder, holds a manifest, or no candidate has a picture.
    """
    if "://" in folder:
        raise ZooniverseError(f"FOLDER must be a local folder, got {folder}")
    rows = query(absolute(catalogue), wanted, maps=True)
    return write_manifest(subjects_of(rows), Path(folder), overwrite=overwrite)


def import_classifications(catalogue: str, file: str, tasks: Tasks) -> tuple[Imported, Merged]:
    """Append the votes of an export of classifications to the log of a catalogue; nothing if a row is wrong."""
    try:
        data = read_bytes(file)
    except FileNotFoundError as error:
        raise ZooniverseError(f"{file}: no such file") from error
    log, found = existing_log(catalogue), votes_from_export(file, data, tasks)
    return found, merge(log, found.votes)


def answers_of(texts: Sequence[str]) -> dict[str, Grade]:
    """Return the grade of each answer, from texts such as `Not a lens=X`.

    Raises:
        ZooniverseError: a text is not an answer and a grade.
    """
    found: dict[str, Grade] = {}
    for text in texts:
        answer, _, letter = text.rpartition("=")
        grades = [grade for grade in GRADES if grade == letter.strip().upper()]
        if not answer.strip() or not grades:
            raise ZooniverseError(f"--answer must be like 'Not a lens=X' with a grade {', '.join(GRADES)}, got {text!r}")
        found[answer.strip()] = grades[0]
    return found
