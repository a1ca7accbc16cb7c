"""Base class of every error that a user can fix: the command line shows its text, never a traceback."""


class LensscanError(Exception):
    """Bad input, an unusable store or a package that does not match; the message states what to do."""
