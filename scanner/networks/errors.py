from infra.errors import LensscanError


class PackageError(LensscanError):
    """Raised when an ensemble package is missing, damaged or does not match its card; the message names the file."""


class EngineError(LensscanError):
    """Raised when no such engine exists, or not on this machine or in that precision; the message lists the usable ones."""
