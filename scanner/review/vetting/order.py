"""The order in which a grader sees subjects: seeded, different for every grader, and stable when subjects come or go.

The place of a subject follows from a digest of seed, grader and subject. So known and unknown subjects are mixed evenly, a
restart gives the same order, and a new subject moves no other one.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from scanner.review.votes.vote import Role

REPEATED_FRACTION = 0.05
"""Fraction of the candidates that a grader sees twice, to measure how consistent a grader is."""
LEAST_BETWEEN = 5
"""Smallest number of other subjects between the two views of a candidate; with fewer, there is no second view."""


@dataclass(frozen=True)
class Subject:
    """An object to grade."""

    name: str
    """`object:<object_id>` or `gold:<digits>`."""
    role: Role = "candidate"
    object_id: int | None = None

    @property
    def is_training(self) -> bool:
        """True for a subject whose answer the grader is told at once, before the others begin."""
        return self.role.startswith("training")


@dataclass(frozen=True)
class Item:
    """One view of a subject by a grader."""

    subject: Subject
    repeat: int
    """0 for the first view, 1 for the second."""
    key: str
    """Name of the view for the page, which tells nothing about the subject."""


@dataclass(frozen=True)
class Order:
    """The seed and the grader that decide about order, repeats and keys."""

    seed: int
    grader: str

    def items(self, subjects: Iterable[Subject]) -> list[Item]:
        """Return all views of different subjects in the order of the grader: training first, then all others mixed."""
        placed = []
        for subject in subjects:
            at = self._fraction("place", subject.name) - subject.is_training
            placed.append((at, Item(subject, 0, self.key(subject.name, 0))))
            if subject.role == "candidate" and self._fraction("repeat", subject.name) < REPEATED_FRACTION:
                later = at + (1 - at) * self._fraction("later", subject.name)
                placed.append((later, Item(subject, 1, self.key(subject.name, 1))))
        placed.sort(key=lambda entry: (entry[0], entry[1].key))
        return _without_close_repeats([item for _, item in placed])

    def every_view(self, subjects: Iterable[Subject]) -> dict[str, Item]:
        """Return all views that any session of the grader may have of subjects, by their keys."""
        views = [Item(subject, repeat, self.key(subject.name, repeat)) for subject in subjects for repeat in (0, 1)]
        return {view.key: view for view in views}

    def key(self, name: str, repeat: int) -> str:
        """Return the key of a view of a subject; it does not depend on the seed, so that a page may keep it for later."""
        return hashlib.sha256(f"key\n{self.grader}\n{name}\n{repeat}".encode()).hexdigest()[:20]

    def _fraction(self, purpose: str, name: str) -> float:
        """Return a number in [0, 1), uniformly distributed over subjects, and independent of those of other purposes."""
        return int.from_bytes(self._digest(purpose, name)[:6], "big") / 2**48

    def _digest(self, purpose: str, name: str) -> bytes:
        return hashlib.sha256(f"{purpose}\n{self.seed}\n{self.grader}\n{name}".encode()).digest()


def _without_close_repeats(items: list[Item]) -> list[Item]:
    kept: list[Item] = []
    place: dict[str, int] = {}
    for item in items:
        # Other second views that are left out are not between.
        if not item.repeat or len(kept) - place[item.subject.name] > LEAST_BETWEEN:
            place.setdefault(item.subject.name, len(kept))
            kept.append(item)
    return kept
