"""The error of a publication."""

from infra.errors import LensscanError


class PublishError(LensscanError):
    """A catalogue cannot be published, or a collection cannot be read or changed."""
