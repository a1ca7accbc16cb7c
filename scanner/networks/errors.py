from infra.errors import LensscanError


class PackageError(LensscanError):
    """An ensemble package that is missing, damaged or not what its card says; the message names the file."""
