"""The pointer of a collection: the one file that says which version readers see, and which versions there are."""

from contextlib import suppress
from uuid import uuid4

from pydantic import Field

from infra.frozen import Frozen
from infra.store.replacement import replace_if
from infra.store.storage import StorageError, read_bytes
from scanner.hats.errors import PublishError
from scanner.hats.paths import NAME, pointer_uri
from scanner.hats.properties import decode_properties, encode_properties

_TRIES = 3
"""Largest number of reads of a pointer that is being replaced."""


class Pointer(Frozen):
    """The content of the pointer. A version that it does not list does not exist, whatever folders there are."""

    version: str
    """Version that readers see."""
    versions: tuple[str, ...]
    """All versions, oldest first."""
    stored: bytes = Field(exclude=True, repr=False)
    """Content of the file that this was read from."""


def read_pointer(collection_uri: str) -> Pointer | None:
    """Return what the pointer says; None for a collection without a version.

    Raises:
        PublishError: the file is no pointer of lensscan.
        StorageError: the store failed.
    """
    uri = pointer_uri(collection_uri)
    try:
        data = _read(uri)
    except FileNotFoundError:
        return None
    found = decode_properties(data)
    version, versions = found.get("hats_primary_table_url", ""), tuple(found.get("lensscan_versions", "").split())
    if version not in versions:
        raise PublishError(f"{uri}: is no collection of lensscan; give another folder or prefix")
    return Pointer(version=version, versions=versions, stored=data)


def swap_pointer(collection_uri: str, before: Pointer | None, version: str, versions: tuple[str, ...]) -> bool:
    """Make readers see a version, unless the pointer is no longer the one that was read before; return whether they do.

    Every pointer differs from all others, so a publisher whose pointer was replaced cannot promote any more, even if the same
    version is shown again. So all folders of versions that were there before a swap, and that it does not list, are garbage.

    Raises:
        StorageError: the store failed, and the pointer may be the old one or the new one.
    """
    properties = {
        "obs_collection": NAME,
        "hats_primary_table_url": version,
        "lensscan_versions": " ".join(versions),
        "lensscan_swap": uuid4().hex,
    }
    data = encode_properties(properties, "HATS Collection")
    return replace_if(pointer_uri(collection_uri), data, before.stored if before else None)


def _read(uri: str) -> bytes:
    for _ in range(_TRIES - 1):
        # On S3 a read fails if the object is replaced between its two requests.
        with suppress(StorageError):
            return read_bytes(uri)
    return read_bytes(uri)
