"""Errors that a user can fix: the command line shows their text, never a traceback."""


class LensscanError(Exception):
    """Bad input, an unusable store or a package that does not match; the message states what to do."""


class ClusterError(LensscanError):
    """A cluster cannot be reached, or a call to a worker failed; the message names the item."""
