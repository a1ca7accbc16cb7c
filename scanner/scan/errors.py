"""The error of a scan that no row of its input causes."""

from infra.errors import LensscanError


class ScanError(LensscanError):
    """A unit differs from the plan, or a network outputs no probability; the error is never a property of one row."""
