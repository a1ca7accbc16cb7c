"""Objects of an S3 store: read whole and of one version, created once, and deleted by repairs alone.

What can be tried again is tried on one level each: a request by botocore, a body that came damaged by `read_range`, a
creation whose outcome is unknown by `create`.
"""

import time
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from infra.read_ahead import map_ahead
from infra.store.files import CreateOutcome, FileInfo, StorageError, changed, one_line, whose
from infra.store.s3_client import FAILURES, ask, ask_once, deadline_s, http_status

BODY_TRIES = 3
"""Of a read whose body came short, broke off or does not match the store's checksum."""
CREATE_TRIES = 4
CREATE_WAIT_S = 0.2
MAX_PUT_BYTES = 5 * 2**30
WHOLE_BYTES = 2**26
"""Objects up to this are asked for at once: stores send a checksum with whole objects only."""
STREAM_BYTES = 2**23
"""Of one ranged read of a larger object: the wait for its first byte must not count."""
STREAM_AHEAD = 2
"""Ranged reads on their way while the block before is worked on."""

_UNSETTLED = {408, 409, 412, 429}
"""4xx answers to a creation that say nothing final; 409: another creation is under way, 412: the name is taken."""


def info(uri: str, until: float | None = None) -> FileInfo:
    """Size and etag of an object; `until` as in `read_object`.

    Raises:
        FileNotFoundError: there is none.
        StorageError: the store failed.
    """
    head = ask(uri, lambda client: client.head_object(**_place(uri)), deadline_s(0, until))
    return FileInfo(uri, int(head["ContentLength"]), _etag(head))


def exists(uri: str) -> bool:
    """Is there an object, or a prefix that holds something?

    Raises:
        StorageError: the store failed.
    """
    with suppress(FileNotFoundError):
        if _page(uri, MaxKeys=1).get("Contents"):
            return True
        return bool(_place(uri)["Key"]) and bool(info(uri))
    return False


def list_objects(root_uri: str) -> Iterator[FileInfo]:
    """All objects below a prefix; none where there is no such bucket.

    Raises:
        StorageError: the store failed.
    """
    bucket = _place(root_uri)["Bucket"]
    try:
        page = _page(root_uri)
    except FileNotFoundError:
        return
    token = ""
    while True:
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):
                yield FileInfo(f"s3://{bucket}/{entry['Key']}", int(entry["Size"]), _etag(entry))
        if not page.get("IsTruncated"):
            return
        before, token = token, page.get("NextContinuationToken") or ""
        # Whatever ends a listing before its last page makes it look complete.
        if token in {"", before}:
            raise StorageError(f"{root_uri}: the store does not go on with its listing")
        try:
            page = _page(root_uri, ContinuationToken=token)
        except FileNotFoundError as error:
            raise StorageError(f"{root_uri}: went away while it was listed") from error


def read_object(uri: str, until: float | None = None) -> bytes:
    """All of one version of an object.

    Args:
        uri: Of the object.
        until: Time on the monotonic clock at which this ends in any case, be the object ever so large.

    Raises:
        FileNotFoundError: there is none.
        StorageError: the store failed, or the object was replaced meanwhile.
    """
    file = info(uri, until)
    if file.size > WHOLE_BYTES and until is None:
        return b"".join(read_blocks(file))
    return read_range(uri, 0, file.size, file.etag, size=file.size, until=until)


def read_range(
    uri: str,
    start: int,
    length: int,
    etag: str | None = None,
    *,
    size: int | None = None,
    until: float | None = None,
) -> bytes:
    """`length` bytes from `start`, of the version with `etag` if one is given.

    Args:
        uri: Of the object.
        start: First byte.
        length: Number of bytes.
        etag: As `info` told it.
        size: Of the object; if known, all of it is asked for as a whole, so that the store's checksum is compared.
        until: Time on the monotonic clock at which this ends, if before `deadline_s`.

    Raises:
        FileNotFoundError: there is no object.
        StorageError: the object ends before, is another version, its body came damaged each time, or the store failed.
    """
    if not length:
        return b""
    wanted = _place(uri)
    given = f"bytes {start}-{start + length - 1}/"
    if length != size:
        wanted["Range"] = f"bytes={start}-{start + length - 1}"
    if etag:
        wanted["IfMatch"] = f'"{etag}"'

    async def get(client: Any) -> bytes:
        for _ in range(BODY_TRIES):
            answer = await client.get_object(**wanted)
            # Of a store that does not know If-Match.
            if etag and _etag(answer) not in {etag, ""}:
                raise changed(uri, etag)
            data, failure = await _body(answer)
            if len(data) == length and answer.get("ContentRange", given).startswith(given):
                return data
        raise StorageError(f"{uri}: asked for {length} bytes from {start}, {failure or f'got {len(data)}'}")

    try:
        return ask(uri, get, deadline_s(length, until))
    except StorageError as error:
        if etag and http_status(error) == 412:
            raise changed(uri, etag) from error
        raise


def read_blocks(file: FileInfo) -> Iterator[bytes]:
    """The version of an object that `file` tells of, front to back; a few blocks are on their way meanwhile.

    No store sends a checksum with a range. So the last block is given only when all of them together have the CRC32 that the
    store keeps of the object, where it keeps one.

    Raises:
        FileNotFoundError: it is gone.
        StorageError: it was replaced, its bytes are not those that the store holds, or the store failed.
    """
    crc32, n_bytes = 0, 0
    for block in _ranges(file):
        crc32, n_bytes = zlib.crc32(block, crc32), n_bytes + len(block)
        if n_bytes == file.size:
            _check(file, crc32)
        yield block
    if not file.size:
        _check(file, crc32)


def create(uri: str, data: bytes, attempt: str) -> CreateOutcome:
    """Create an object if there is none, with conditional puts of all of it; ends within twice `deadline_s` of the data.

    Raises:
        StorageError: refused, or the outcome is unknown.
    """
    if len(data) >= MAX_PUT_BYTES:
        raise StorageError(f"{uri}: one put holds less than {MAX_PUT_BYTES} bytes, got {len(data)}")
    until = time.monotonic() + 2 * deadline_s(len(data))
    request = {**_place(uri), "Body": data, "IfNoneMatch": "*", "Metadata": {"attempt": attempt}}
    for i_try in range(CREATE_TRIES):
        time.sleep(CREATE_WAIT_S * i_try)
        try:
            ask(uri, lambda client: client.put_object(**request), deadline_s(len(data), until))
        except OSError as error:
            failure = error
        else:
            return CreateOutcome.CREATED
        status = http_status(failure)
        if (400 <= status < 500 and status not in _UNSETTLED) or time.monotonic() > until:
            break
        # Taken (412), in conflict (409) or unknown (timeout, 5xx): the object itself tells. Absent: the same again.
        with suppress(FileNotFoundError):
            return whose(read_object(uri, until), data)
    reason = failure.strerror or one_line(failure).removeprefix(f"{uri}: ")
    raise StorageError(f"{uri}: cannot be created: {reason}") from failure


def remove(file: FileInfo) -> None:
    """Delete the version of an object that `file` tells of; that it is gone already is fine.

    There is one request only: where its reply is lost, a second might meet what was created meanwhile. A store that does not
    know If-Match deletes any version.

    Raises:
        StorageError: the object is another by now, or it is still there.
    """
    wanted = {**_place(file.uri), "IfMatch": f'"{file.etag}"'}
    try:
        ask_once(file.uri, lambda client: client.delete_object(**wanted))
    except FileNotFoundError:
        return
    except StorageError as error:
        with suppress(FileNotFoundError):
            if info(file.uri).etag != file.etag:
                raise changed(file.uri, file.etag) from error
            raise


def remove_probe(uri: str) -> None:
    """Delete a scratch object, whose name nobody else knows.

    Raises:
        StorageError: the store failed.
    """
    ask(uri, lambda client: client.delete_object(**_place(uri)))


def _ranges(file: FileInfo) -> Iterator[bytes]:
    def fetch(start: int) -> bytes:
        length = min(STREAM_BYTES, file.size - start)
        return read_range(file.uri, start, length, file.etag, size=file.size)

    return map_ahead(fetch, range(0, file.size, STREAM_BYTES), STREAM_AHEAD)


def _check(file: FileInfo, crc32: int) -> None:
    """Is the object still the one that was read, and was that what the store holds?"""
    head = ask(file.uri, lambda client: client.head_object(**_place(file.uri), ChecksumMode="ENABLED"))
    if _etag(head) != file.etag:
        raise changed(file.uri, file.etag)
    kept = head.get("ChecksumCRC32", "-")
    # With a dash it is made of the checksums of parts.
    if "-" not in kept and int.from_bytes(b64decode(kept), "big") != crc32:
        raise StorageError(f"{file.uri}: what was read does not have the CRC32 that the store keeps of it")


async def _body(answer: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes that came, and why there are none."""
    try:
        async with answer["Body"] as body:
            return cast("bytes", await body.read()), ""
    except FAILURES as error:
        return b"", one_line(error)


def _page(root_uri: str, **options: Any) -> dict[str, Any]:
    place = _place(root_uri)
    request = {"Bucket": place["Bucket"], "Prefix": f"{place['Key']}/" if place["Key"] else "", **options}
    return ask(root_uri, lambda client: client.list_objects_v2(**request))


def _place(uri: str) -> dict[str, Any]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key.rstrip("/")}


def _etag(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag") or "").strip('"')
