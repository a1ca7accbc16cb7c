"""Take votes from other logs and from CSV files into a log."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.read_ahead import map_ahead
from infra.store.storage import N_AHEAD, read_bytes
from scanner.review.votes.effective import distinct
from scanner.review.votes.errors import VoteError
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import Vote
from scanner.review.votes.vote_csv import from_csv


@dataclass(frozen=True)
class Merged:
    """Result of a merge."""

    n_added: int
    """Number of acts that the log lacked."""
    n_known: int
    """Number of acts that it held already."""


def merge(log: VoteLog, votes: Iterable[Vote]) -> Merged:
    """Append the acts that a log lacks; a second merge of the same acts adds none.

    All acts are compared with those of the log before the first is written.

    Raises:
        VoteError: an act has the id of another act of its grader.
        StorageError: the store failed: merge again.
    """
    given, held = distinct(votes), distinct(log.votes())
    for key in sorted(given.keys() & held.keys()):
        if given[key] != held[key]:
            raise VoteError(f"{log.root_uri}: holds another act of {key[0]} with the act_id {key[1]}; an act never changes")
    missing = [given[key] for key in sorted(given.keys() - held.keys())]
    for _ in map_ahead(log.append, missing, N_AHEAD):
        pass
    return Merged(len(missing), len(given) - len(missing))


def votes_in(source: str) -> list[Vote]:
    """Return the votes of a CSV file, or of a catalogue's log.

    Args:
        source: Path or URI of a file that ends in `.csv`, or the root of a catalogue.

    Raises:
        VoteError: a file is damaged or wrong, or there are no votes.
        StorageError: the store failed.
    """
    if source.lower().endswith(".csv"):
        try:
            return from_csv(source, read_bytes(source))
        except FileNotFoundError as error:
            raise VoteError(f"{source}: no such file") from error
    votes = VoteLog(source).votes()
    if not votes:
        raise VoteError(f"{source}: holds no votes; give a CSV file of votes, or the root of a catalogue that was graded")
    return votes
