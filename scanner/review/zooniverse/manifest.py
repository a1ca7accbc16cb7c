"""Subjects for Zooniverse: a folder of pictures and `manifest.csv`, whose columns say which subject a picture shows.

Zooniverse hides columns whose names begin with `#` from volunteers. The name of a picture says nothing, and rows are sorted by
it, so that neither tells the score or the place of an object. A column `#check` holds a digest of the row: an import refuses a
row that a person or a spreadsheet has changed. The digest has no secret, so it is no protection against a forger.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from infra.errors import LensscanError
from infra.provenance import digest, sha256_bytes
from infra.store.files import replace_whole
from scanner.catalogue.wanted import NONE_MEETS
from scanner.review.candidate import CandidatePixels, pixels_of
from scanner.review.votes.vote import Role, subject_of
from scanner.review.zooniverse.picture import candidate_png

MANIFEST = "manifest.csv"
FILE, SUBJECT, OBJECT_ID, ROLE, PICTURE, CHECK = "filename", "#subject", "#object_id", "#role", "#picture", "#check"
CHECKED = (SUBJECT, OBJECT_ID, ROLE, PICTURE)
"""Columns that the check is made of; an uploader may drop the name of the file."""
MOST_BYTES = 1_000_000
"""Size of a picture that Zooniverse does not take any more."""
_DIGITS = 16


class ZooniverseError(LensscanError):
    """Subjects cannot be written for Zooniverse, or its export of classifications cannot be read."""


@dataclass(frozen=True)
class Subject:
    """An object that volunteers grade."""

    name: str
    """Subject of the votes, such as `object:7`."""
    object_id: int | None
    """Identifier in the input catalogue; None for an object that no catalogue holds."""
    role: Role
    pixels: CandidatePixels


@dataclass(frozen=True)
class Written:
    """Result of an export."""

    n_subjects: int
    n_without_picture: int
    """Number of candidates without stored pixels, which volunteers cannot see."""
    n_bytes: int
    """Size of all pictures."""


def subjects_of(rows: pa.Table) -> Iterator[Subject | None]:
    """Yield the subject of each object of `query(..., maps=True)`, then None for each object without stored pixels.

    An object that several nights show comes once, with the pixels of the first row that has some.
    """
    seen: set[int] = set()
    without: set[int] = set()
    for batch in rows.to_batches(64):
        for row in batch.to_pylist():
            object_id = row["object_id"]
            if object_id in seen:
                continue
            if (pixels := pixels_of(row)) is None:
                without.add(object_id)
            else:
                seen.add(object_id)
                yield Subject(subject_of(object_id), object_id, "candidate", pixels)
    yield from [None] * len(without - seen)


def write_manifest(subjects: Iterable[Subject | None], folder: Path, *, overwrite: bool = False) -> Written:
    """Write a picture of each subject, and the manifest after them.

    Args:
        subjects: The subjects; None counts as one without a picture.
        folder: Folder to write to, which is made if it is not there.
        overwrite: Whether it may hold a manifest, which is replaced. Pictures of other subjects stay where they are.

    Raises:
        ZooniverseError: the folder holds a manifest, or cannot be written; or a picture is too large, or there is none.
    """
    if (folder / MANIFEST).exists() and not overwrite:
        raise ZooniverseError(f"{folder} holds a {MANIFEST}; it is not replaced without --overwrite")
    rows, n_without, n_bytes = [], 0, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for subject in subjects:
            if subject is None:
                n_without += 1
                continue
            data = candidate_png(subject.pixels)
            if len(data) >= MOST_BYTES:
                raise ZooniverseError(f"{subject.name}: its picture must have fewer than {MOST_BYTES} bytes, got {len(data)}")
            row = row_of(subject, data)
            (folder / row[FILE]).write_bytes(data)
            rows.append(row)
            n_bytes += len(data)
        if not rows:
            lacks = f"no candidate has stored pixels ({n_without} have none); scan with --maps to store them"
            raise ZooniverseError(lacks if n_without else NONE_MEETS)
        with replace_whole(folder / MANIFEST) as part:
            part.write_text(_as_csv(rows), encoding="utf-8", newline="")
    except OSError as error:
        raise ZooniverseError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return Written(len(rows), n_without, n_bytes)


def row_of(subject: Subject, png: bytes) -> dict[str, str]:
    """Return the row of the manifest for a subject and its picture."""
    object_id = "" if subject.object_id is None else str(subject.object_id)
    row = {SUBJECT: subject.name, OBJECT_ID: object_id, ROLE: subject.role, PICTURE: sha256_bytes(png)[:_DIGITS]}
    return {FILE: f"{digest(row)[:_DIGITS]}.png", **row, CHECK: check_of(row)}


def check_of(row: Mapping[str, object]) -> str:
    """Return the check of a row of the manifest, from its columns `CHECKED`."""
    return digest([str(row.get(column, "")) for column in CHECKED])[:_DIGITS]


def _as_csv(rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, (FILE, *CHECKED, CHECK))
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row[FILE]))
    return text.getvalue()
