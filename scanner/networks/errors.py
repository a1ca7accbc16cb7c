from infra.errors import LensscanError


class PackageError(LensscanError):
    """An ensemble package that is missing, damaged or not what its card says; the message names the file."""


class EngineError(LensscanError):
    """An engine that there is not, or not on this machine, or not in that precision; the message says which there are."""
