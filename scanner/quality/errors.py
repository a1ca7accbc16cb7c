"""The error of measuring and judging a night."""

from infra.errors import LensscanError


class QualityError(LensscanError):
    """A night cannot be measured, judged or promoted; the message says why and what to do."""
