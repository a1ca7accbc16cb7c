"""Access to a bucket: its endpoint and region, and whether requests are signed.

Requests are signed with the user's credentials, except those to public archives and to buckets that the user names.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ANONYMOUS_BUCKETS = "LENSSCAN_ANONYMOUS_BUCKETS"
"""Environment variable with the names, separated by commas, of buckets that are read without credentials."""
PUBLIC_BUCKETS: Mapping[str, str] = MappingProxyType({"nasa-irsa-euclid-q1": "us-east-1"})
"""Regions of the archives' buckets on AWS that anyone may read without an account."""
_ENDPOINT_USER = re.compile(r"^(\w+://)?.*@")


@dataclass(frozen=True)
class Access:
    """Way in which a process reaches a bucket."""

    endpoint: str | None
    """URL of the store; None for that of the profile, or AWS."""
    region: str | None
    """Region; None for that of the environment or the profile."""
    is_anonymous: bool
    """Whether requests carry no credentials."""


def access_to(bucket: str) -> Access:
    """Return the access to a bucket, by the environment of this process.

    An archive's bucket is that on AWS, wherever the user's own buckets are, so that a catalogue can lie in another store.
    """
    if bucket in PUBLIC_BUCKETS:
        return Access("https://s3.amazonaws.com", PUBLIC_BUCKETS[bucket], is_anonymous=True)
    return Access(_endpoint(), None, bucket in _anonymous_buckets())


def bucket_of(uri: str) -> str | None:
    """Return the bucket of an `s3://` URI, or None for a local path."""
    return uri.removeprefix("s3://").partition("/")[0] if uri.startswith("s3://") else None


def read_anonymously(uri: str) -> None:
    """Read the bucket of an `s3://` URI without credentials from now on, in this process and those that it starts.

    Nothing changes for a local path.
    """
    if bucket := bucket_of(uri):
        os.environ[ANONYMOUS_BUCKETS] = ",".join(sorted({bucket, *_anonymous_buckets()}))


def access_variables() -> dict[str, str]:
    """Return the environment variables that processes on other machines need for the same access."""
    return {ANONYMOUS_BUCKETS: value} if (value := os.environ.get(ANONYMOUS_BUCKETS)) else {}


def _anonymous_buckets() -> set[str]:
    return {name.strip() for name in os.environ.get(ANONYMOUS_BUCKETS, "").split(",") if name.strip()}


def _endpoint() -> str | None:
    """Return the endpoint without user and password: requests are signed, and a client without the secret cannot leak it."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return _ENDPOINT_USER.sub(r"\1", endpoint) if endpoint else None
