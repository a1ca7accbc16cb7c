"""The log of votes in a catalogue: a file for each act, which is created once and never changes."""

from uuid import uuid4

from pydantic import ValidationError

from infra.store.storage import CreateOutcome, absolute, create_if_absent, list_files, read_bytes, read_many
from scanner.catalogue.paths import vote_uri, votes_uri
from scanner.review.votes.errors import VoteError
from scanner.review.votes.vote import Vote

_ADVICE = "restore the file from a copy, or move it out of the catalogue to go on without this vote"


class VoteLog:
    """The acts of all graders of a catalogue, in a folder or under an `s3://` prefix."""

    def __init__(self, root_uri: str) -> None:
        self.root_uri = absolute(root_uri)

    def append(self, vote: Vote) -> CreateOutcome:
        """Store an act, which survives a crash once this returns; an act that is there already is left as it is.

        Returns:
            `CREATED`, or `ALREADY_MINE` if the log holds the same act.

        Raises:
            VoteError: the log holds another act of this grader under this id, or its file is damaged.
            StorageError: the store failed, so that the outcome is unknown: append the same act again.
        """
        uri = vote_uri(self.root_uri, vote.grader, vote.act_id)
        outcome = create_if_absent(uri, vote.model_dump_json().encode(), uuid4().hex)
        if outcome is not CreateOutcome.EXISTS:
            return outcome
        # The bytes of an equal act may differ: another version of lensscan may have written it, or another time zone.
        if _decoded(uri, read_bytes(uri)) != vote:
            raise VoteError(f"{uri}: holds another act of {vote.grader} under this act_id; an act never changes")
        return CreateOutcome.ALREADY_MINE

    def votes(self, grader: str | None = None) -> list[Vote]:
        """Return the acts of one grader, or of all, by time and then by act_id and grader; an empty list without votes.

        Raises:
            VoteError: a file is damaged. A vote that is left out silently could change a consensus, so the reader stops.
            StorageError: the store failed.
        """
        files = list_files(votes_uri(self.root_uri, grader), ".json")
        found = zip(files, read_many(files), strict=True)
        return sorted((_decoded(file.uri, data) for file, data in found if data is not None), key=in_time)


def in_time(vote: Vote) -> tuple[object, ...]:
    """Return the key that sorts acts by time; act_id and grader make the order of equal times the same in every log."""
    return vote.graded_at, vote.act_id, vote.grader


def _decoded(uri: str, data: bytes) -> Vote:
    """Return the act in a file, whose name must be that of the act.

    Raises:
        VoteError: it is damaged or has another name.
    """
    try:
        vote = Vote.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise VoteError(f"{uri}: is no vote ({place + ': ' * bool(place)}{first['msg']}); {_ADVICE}") from error
    if not uri.endswith(own := vote_uri("", vote.grader, vote.act_id)):
        raise VoteError(f"{uri}: holds the act that belongs in {own}; {_ADVICE}")
    return vote
