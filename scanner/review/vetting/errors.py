"""The error of a catalogue that cannot be graded."""

from infra.errors import LensscanError


class VettingError(LensscanError):
    """There is nothing to grade, or an option of vetting does not fit; the message says what to do."""
