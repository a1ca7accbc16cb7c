"""The work of one grader on a catalogue: what there is to grade, what is done, and what may be shown by now."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pydantic import ValidationError

from infra.errors import LensscanError
from infra.provenance import digest
from scanner.review.candidate import BANDS
from scanner.review.vetting.acts import PageAct, act_of, vote_of
from scanner.review.vetting.images import records
from scanner.review.vetting.material import Material
from scanner.review.vetting.order import Item, Order, Subject
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.errors import VoteError
from scanner.review.votes.grades import GRADE_MEANINGS, REASON_MEANINGS
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import Vote

MOST_IMAGES = 200
"""Largest number of images in one answer."""
_WARM = 20
"""Number of images that are read before the page asks for any."""
_FRESH_S = 30.0
"""Time for which the grades of others are kept before the log is read again."""


class NotYetError(Exception):
    """The page asks for what it may not have yet, or for a view that does not exist; the text says why."""


@dataclass(frozen=True)
class Terms:
    """Name and conditions of a grader."""

    grader: str
    seed: int
    is_blind: bool
    page_version: str
    title: str
    """Short name of the catalogue, for the page."""

    @property
    def order(self) -> Order:
        return Order(self.seed, self.grader)


class Session:
    """The views of a grader, and the grader's acts so far. Several threads may use it."""

    def __init__(
        self, log: VoteLog, terms: Terms, material: Material, elsewhere: Callable[[], Iterable[Subject]] = tuple
    ) -> None:
        """Read the acts of the grader.

        Args:
            log: Log of votes.
            terms: Name and conditions.
            material: The subjects, their pixels and facts.
            elsewhere: Function that returns all subjects of the catalogue; used once an act is about one that this session
                lacks, because the page has kept it since a session with other options.

        Raises:
            VoteError: a file of the log is damaged.
            StorageError: the store failed.
        """
        self._log, self._terms, self._material, self._elsewhere = log, terms, material, elsewhere
        self.items: Sequence[Item] = terms.order.items(material.subjects)
        self._by_key = {item.key: item for item in self.items}
        self._views = {(item.subject.name, item.repeat): item for item in self.items}
        self._lock = Lock()
        self._all_keys: dict[str, Item] | None = None
        self._others: tuple[float, list[Vote]] | None = None
        self._own = {vote.act_id: vote for vote in log.votes(terms.grader)}

    @property
    def name(self) -> str:
        """Name of the log and the grader, the same after each start: a page keeps its acts under it."""
        return digest([self._log.root_uri, self._terms.grader])[:16]

    @property
    def origin(self) -> str:
        """Name of the log, the grader and the catalogue, the same after each start: a page sends it along."""
        return digest([self.name, self._material.root_uri])[:16]

    @property
    def n_graded(self) -> int:
        """Number of the views that are graded."""
        return len(self._graded().keys() & self._views.keys())

    def state(self) -> dict[str, Any]:
        """Return what the page needs to begin or to go on, as JSON: after another look into the log.

        Raises:
            VoteError: a file of the log is damaged.
            StorageError: the store failed.
        """
        found = {vote.act_id: vote for vote in self._log.votes(self._terms.grader)}
        with self._lock:
            self._own |= found
            acts = [act_of(vote, item) for vote in self._own.values() if (item := self._views.get((vote.subject, vote.repeat)))]
        return page_state(self._terms, self.items, acts, self.name) | {"origin": self.origin}

    def images(self, keys: Sequence[str]) -> bytes:
        """Return the records of the images of some views.

        Raises:
            NotYetError: there is no such view, or too many are asked for.
            LensscanError: a file of the catalogue cannot be read.
        """
        if not 1 <= len(keys) <= MOST_IMAGES:
            raise NotYetError(f"1 to {MOST_IMAGES} images can be asked for at once, got {len(keys)}")
        return records(self._material.images([self._item(key).subject for key in keys]))

    def warm_up(self) -> None:
        """Read the images that the grader sees first, so that they wait for the page; an error comes when the page asks."""
        graded = self._graded()
        first = [item.subject for item in self.items if (item.subject.name, item.repeat) not in graded][:_WARM]
        with suppress(LensscanError, OSError):
            # One by one: the page may ask for the first while the others are read.
            for subject in first:
                self._material.images([subject])

    def take(self, acts: Iterable[PageAct]) -> dict[str, Any]:
        """Store acts; an act that comes again is acknowledged again and counts once.

        Returns:
            The ids of the acts that are stored now, and those of acts that can never be, with the reason.

        Raises:
            StorageError: the store failed; the acts must be sent again.
        """
        stored: list[str] = []
        refused: list[dict[str, str]] = []
        for act in acts:
            try:
                vote = vote_of(act, self._item(act.item, is_kept=True), self._terms.grader)
                # Of an act that is known, a slow store is not asked again: the page sends all until it has the answer.
                if self._own.get(vote.act_id) != vote:
                    self._log.append(vote)
            except ValidationError as error:
                refused.append({"act_id": act.act_id, "error": error.errors()[0]["msg"]})
            except (NotYetError, VoteError) as error:
                refused.append({"act_id": act.act_id, "error": str(error)})
            else:
                with self._lock:
                    self._own[vote.act_id] = vote
                stored.append(act.act_id)
        return {"stored": stored, "refused": refused}

    def facts(self, key: str) -> dict[str, Any]:
        """Return score, place, maps, others' grades and what is alike, or the answer; in blind mode only once it is graded.

        Raises:
            NotYetError: it is not graded yet, or there is no such view.
            LensscanError: the catalogue or the log cannot be read.
        """
        item = self._item(key)
        if self._terms.is_blind and (item.subject.name, item.repeat) not in self._graded():
            raise NotYetError("score, position and maps are shown once this is graded")
        others = [vote for vote in self._votes_of_others() if vote.subject == item.subject.name]
        same = [other.key for other in self.items if other.subject == item.subject and other.key != key]
        # A known subject has no alike views and is never one. So that this tells no view from another before the vote, a blind
        # grader gets those alone that are graded.
        views = [view for name in self._material.alike(item.subject) if (view := self._views.get((name, 0)))]
        graded = self._graded()
        alike = [view.key for view in views if not self._terms.is_blind or (view.subject.name, 0) in graded]
        return {**self._material.facts(item.subject, others), "same": same, "alike": alike, "n_alike": len(views)}

    def _graded(self) -> dict[tuple[str, int], Vote]:
        with self._lock:
            own = list(self._own.values())
        return {(vote.subject, vote.repeat): vote for vote in effective_votes(own)}

    def _votes_of_others(self) -> list[Vote]:
        if self._others is None or time.monotonic() - self._others[0] > _FRESH_S:
            found = [vote for vote in effective_votes(self._log.votes()) if vote.grader != self._terms.grader]
            self._others = time.monotonic(), found
        return self._others[1]

    def _item(self, key: str, *, is_kept: bool = False) -> Item:
        """Return the view with a key; `is_kept` says that the key may come from a session with other options."""
        item = self._by_key.get(key)
        if item is None and is_kept:
            if self._all_keys is None:
                self._all_keys = self._terms.order.every_view(self._elsewhere())
            item = self._all_keys.get(key)
        if item is None:
            raise NotYetError("there is no such subject in this catalogue")
        return item


def page_state(terms: Terms, items: Iterable[Item], acts: Iterable[PageAct], session_id: str) -> dict[str, Any]:
    """Return what the page needs to begin or to go on, as JSON; nothing in it tells candidates from known subjects.

    Training subjects are marked, because the grader is told their answers at once.
    """
    return {
        "session": session_id,
        "page_version": terms.page_version,
        "grader": terms.grader,
        "title": terms.title,
        "is_blind": terms.is_blind,
        "grades": GRADE_MEANINGS,
        "reasons": REASON_MEANINGS,
        "bands": BANDS,
        "items": [[item.key, int(item.subject.is_training)] for item in items],
        "acts": [act.model_dump(mode="json") for act in acts],
    }
