"""Errors that a user can fix: the command line shows their text, never a traceback."""


class LensscanError(Exception):
    """Bad input, an unusable store or a package that does not match; the message states what to do."""

    is_infrastructure = False
    """Whether the error is one of a store, a cluster or a worker, so that the same call may succeed later."""


class ClusterError(LensscanError):
    """A cluster cannot be reached, or a call to a worker failed; the message names the item."""

    is_infrastructure = True


class ClusterAccessError(ClusterError):
    """The address of a cluster is none, its token is missing or wrong, or it is open to everybody."""

    is_infrastructure = False
