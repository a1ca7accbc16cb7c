"""Tell errors of the infrastructure, which pass, from those of data, settings and code, which another try does not mend."""

import errno

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from infra.errors import LensscanError
from infra.store.files import REFUSALS

_FOR_GOOD = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, *REFUSALS})
"""Errors of a file system that say what is there, who may read it and how full it is: no failure of a disk or a network."""
_PASSING_STATUS = frozenset({408, 429})
"""HTTP statuses below 500 that ask for another try: the request took too long, or there were too many."""


def is_infrastructure(error: BaseException) -> bool:
    """Return whether an error, or the one that it was raised from, is one of a store, a cluster, a worker or a network.

    A refusal of a store, such as one for lack of permission, is none: it does not pass by itself.
    """
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status >= 500 or status in _PASSING_STATUS
    cause = error.__cause__
    if isinstance(error, LensscanError):
        if not error.is_infrastructure:
            return isinstance(cause, LensscanError) and is_infrastructure(cause)
        return not isinstance(cause, OSError | ClientError) or is_infrastructure(cause)
    return isinstance(error, OSError | EOFError) and getattr(error, "errno", None) not in _FOR_GOOD
