"""Errors that a user can fix: the command line shows their text, never a traceback."""

from typing import Any


class LensscanError(Exception):
    """Bad input, an unusable store or a package that does not match; the message states what to do."""

    is_infrastructure = False
    """Whether the error is one of a store, a cluster or a worker, so that the same call may succeed later."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process judge the error as this one does: the cause, which decides, is lost between processes."""
        from infra.infrastructure_errors import is_infrastructure  # which imports this module

        # The cause itself may be of a class that cannot be sent, as the errors that botocore makes for a service are.
        return type(self), self.args, {**vars(self), "is_infrastructure": is_infrastructure(self)}


class ClusterError(LensscanError):
    """A cluster cannot be reached, or a call to a worker failed; the message names the item."""

    is_infrastructure = True


class ClusterAccessError(ClusterError):
    """The address of a cluster is none, its token is missing or wrong, or it is open to everybody."""

    is_infrastructure = False
