"""The error of votes that cannot be stored, read or used."""

from infra.errors import LensscanError


class VoteError(LensscanError):
    """A vote contradicts another, or a file of votes is damaged or wrong; the message names the act, or the file and line."""
