"""Pixels and facts of all subjects, candidates and known ones alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scanner.review.vetting.alike import Alike
from scanner.review.vetting.candidates import Row, subject_of_row
from scanner.review.vetting.facts import facts_of_candidate, facts_of_known
from scanner.review.vetting.gold import Gold
from scanner.review.vetting.images import SubjectImage
from scanner.review.vetting.order import Subject
from scanner.review.vetting.stored_pixels import StoredPixels
from scanner.review.votes.vote import Vote, subject_of


class Material:
    """Images and facts of the subjects of a catalogue: the candidates with the rows given, and gold subjects."""

    def __init__(self, root_uri: str, rows: Sequence[Row], gold: Iterable[Gold] = ()) -> None:
        self.root_uri = root_uri
        self._rows: Mapping[str, Row] = {subject_of_row(row).name: row for row in rows}
        self._gold = {known.answer.name: known for known in gold}
        self._pixels = StoredPixels(root_uri, rows)
        self._alike = Alike(root_uri, rows)

    @property
    def subjects(self) -> list[Subject]:
        return [*map(subject_of_row, self._rows.values()), *(known.subject for known in self._gold.values())]

    def images(self, subjects: Sequence[Subject]) -> list[SubjectImage | None]:
        """Return the images of subjects, None for one without pixels.

        Raises:
            LensscanError: a file of the catalogue cannot be read.
        """
        stored = [subject.object_id for subject in subjects if subject.object_id is not None]
        found = dict(zip(stored, self._pixels.images(stored), strict=True))
        return [self._gold[s.name].image if s.object_id is None else found[s.object_id] for s in subjects]

    def alike(self, subject: Subject) -> list[str]:
        """Return the names of the candidates that the networks see most like a subject, nearest first; raises as `images`."""
        ids = [] if subject.object_id is None else self._alike.ids_like(subject.object_id)
        return [subject_of(object_id) for object_id in ids]

    def facts(self, subject: Subject, others: Iterable[Vote]) -> dict[str, Any]:
        """Return what is known of a subject, for after the vote; raises as `images`.

        Args:
            subject: The subject.
            others: Grades that other graders gave it.
        """
        if subject.object_id is None:
            return facts_of_known(self._gold[subject.name].told())
        return facts_of_candidate(self._rows[subject.name], self._pixels.maps(subject.object_id), others)
