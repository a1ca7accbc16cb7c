"""Objects of an S3 store: reads return whole objects of one version, creation is conditional, few callers replace or delete.

Each kind of failure is retried on one level only: botocore retries a request, `read_range` a damaged body, and `create` a
creation with an unknown outcome.
"""

import time
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, cast

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from infra.read_ahead import map_ahead
from infra.store.files import CreateOutcome, FileInfo, StorageError, StoreRefusedError, changed, one_line, refused, whose
from infra.store.retries import tried
from infra.store.s3_client import FAILURES, ask, deadline_s, http_status, status_of

BODY_TRIES = 3
"""Largest number of tries of a read whose body is too short, breaks off or does not match the store's checksum."""
CREATE_TRIES = 4
CREATE_WAIT_S = 0.2
MAX_PUT_BYTES = 5 * 2**30
WHOLE_BYTES = 2**26
"""Largest size in bytes of an object that is read in one request: stores send a checksum with whole objects only."""
STREAM_BYTES = 2**23
"""Length in bytes of one ranged read of a larger object: the wait for its first byte must be negligible."""
STREAM_AHEAD = 2
"""Number of ranged reads in flight while the caller processes the block before them."""

_OBJECTS_PER_REMOVAL = 1000
"""Largest number of objects that S3 deletes in one request."""
_UNSETTLED = {408, 409, 412, 429}
"""4xx answers to a creation that are not final; 409: another creation is under way, 412: the name is taken."""


def info(uri: str, until: float | None = None) -> FileInfo:
    """Return size and ETag of an object; `until` as in `read_object`.

    Raises:
        FileNotFoundError: there is no object.
        StorageError: the store failed.
    """
    head = ask(uri, lambda client: _head(client, _bucket_and_key(uri)), deadline_s(0, until))
    return FileInfo(uri, int(head["ContentLength"]), _etag(head), head.get("LastModified"))


def _head(client: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", client.head_object(**request))
    except ClientError as error:
        # The answer to HEAD has no body, and so no code, such as ExpiredToken: the answer to GET has one.
        if status_of(error) in {400, 403}:
            client.get_object(**request, Range="bytes=0-0")["Body"].close()
        raise


def exists(uri: str) -> bool:
    """Return whether there is an object, or a prefix that holds an object.

    Raises:
        StorageError: the store failed.
    """
    with suppress(FileNotFoundError):
        if _page(uri, MaxKeys=1).get("Contents"):
            return True
        return bool(_bucket_and_key(uri)["Key"]) and bool(info(uri))
    return False


def list_objects(root_uri: str) -> Iterator[FileInfo]:
    """Yield all objects below a prefix; none if there is no such bucket.

    Raises:
        StorageError: the store failed.
    """
    bucket = _bucket_and_key(root_uri)["Bucket"]
    try:
        page = _page(root_uri)
    except FileNotFoundError:
        return
    token = ""
    while True:
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):
                yield FileInfo(f"s3://{bucket}/{entry['Key']}", int(entry["Size"]), _etag(entry), entry.get("LastModified"))
        if not page.get("IsTruncated"):
            return
        before, token = token, page.get("NextContinuationToken") or ""
        # A listing that ends before its last page would look complete.
        if token in {"", before}:
            raise StorageError(f"{root_uri}: the store does not go on with its listing")
        try:
            page = _page(root_uri, ContinuationToken=token)
        except FileNotFoundError as error:
            raise StorageError(f"{root_uri}: went away while it was listed") from error


def read_object(uri: str, until: float | None = None) -> bytes:
    """Return all bytes of one version of an object.

    Args:
        uri: URI of the object.
        until: Time on the monotonic clock at which the read ends in any case, however large the object is.

    Raises:
        FileNotFoundError: there is no object.
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
    """Return `length` bytes from `start`, of the version with `etag` if one is given.

    Args:
        uri: URI of the object.
        start: Offset of the first byte.
        length: Number of bytes.
        etag: ETag that `info` returned.
        size: Size of the object in bytes; if equal to `length`, the whole object is requested, so that the store's checksum
            is compared.
        until: Time on the monotonic clock at which the read ends, if before `deadline_s`.

    Raises:
        FileNotFoundError: there is no object.
        StorageError: the object is too short or another version, each try returned a damaged body, or the store failed.
    """
    if not length:
        return b""
    request = _bucket_and_key(uri)
    if length != size:
        request["Range"] = f"bytes={start}-{start + length - 1}"
    if etag:
        request["IfMatch"] = f'"{etag}"'
    try:
        return ask(uri, lambda client: _undamaged(client, request, uri, start, length, etag), deadline_s(length, until))
    except StorageError as error:
        if etag and http_status(error) == 412:
            raise changed(uri, etag) from error
        raise


def read_blocks(file: FileInfo) -> Iterator[bytes]:
    """Yield the blocks of the version of an object in `file`, in order; a few more blocks are in flight meanwhile.

    No store sends a checksum with a range. So the last block is returned only if all blocks together have the CRC32 that the
    store keeps for the object, if it keeps one.

    Raises:
        FileNotFoundError: the object is gone.
        StorageError: the object was replaced, the bytes read differ from those stored, or the store failed.
    """
    if 0 < file.size <= STREAM_BYTES:
        # A whole object comes in one answer, with its checksum, and on the condition of its version.
        yield read_range(file.uri, 0, file.size, file.etag, size=file.size)
        return
    crc32, n_bytes = 0, 0
    for block in _ranges(file):
        crc32, n_bytes = zlib.crc32(block, crc32), n_bytes + len(block)
        if n_bytes == file.size:
            _check(file, crc32)
        yield block
    if not file.size:
        _check(file, crc32)


def create(uri: str, data: bytes, attempt: str) -> CreateOutcome:
    """Create an object if there is none, by conditional puts of all bytes; end within twice the `deadline_s` of the data.

    Raises:
        StorageError: the store refused, or the outcome is unknown.
    """
    _check_size(uri, data)
    until = time.monotonic() + 2 * deadline_s(len(data))
    request = {**_bucket_and_key(uri), "Body": data, "IfNoneMatch": "*", "Metadata": {"attempt": attempt}}
    for i_try in range(CREATE_TRIES):
        tried(i_try)
        time.sleep(CREATE_WAIT_S * i_try)
        try:
            ask(uri, lambda client: client.put_object(**request), deadline_s(len(data), until))
        except OSError as error:
            failure = error
        else:
            return CreateOutcome.CREATED
        status = http_status(failure)
        is_final = isinstance(failure, StoreRefusedError) or (400 <= status < 500 and status not in _UNSETTLED)
        if is_final or time.monotonic() > until:
            break
        # Name taken (412), conflict (409) or unknown outcome (timeout, 5xx): read the object and compare. Absent: try again.
        with suppress(FileNotFoundError):
            return whose(read_object(uri, until), data)
    reason = failure.strerror or one_line(failure).removeprefix(f"{uri}: ")
    remedy = "allow writing" if status in {401, 403} else None
    if isinstance(failure, StoreRefusedError):
        remedy = failure.remedy
    raise refused(f"{uri}: cannot be created: {reason}", remedy) from failure


def replace(uri: str, data: bytes) -> None:
    """Put an object, whether or not there is one; of two writers the last one wins.

    Raises:
        StorageError: the store refused, or the outcome is unknown.
    """
    _check_size(uri, data)
    ask(uri, lambda client: client.put_object(**_bucket_and_key(uri), Body=data), deadline_s(len(data)))


def replace_if(uri: str, data: bytes, etag: str | None) -> bool:
    """Put an object if its version is still that with `etag`, or if there still is none for None; return whether that was so.

    Raises:
        StorageError: the store refused, or the outcome is unknown.
    """
    _check_size(uri, data)
    condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
    put = {**_bucket_and_key(uri), "Body": data, **condition}
    try:
        # A second request would be refused because of what the first one put, if only the reply to that one was lost.
        ask(uri, lambda client: client.put_object(**put), deadline_s(len(data)), tries=1)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or http_status(error) in {409, 412}:
            return False
        with suppress(FileNotFoundError):
            if read_object(uri) == data:
                return True
        raise
    return True


def copy(source_uri: str, target_uri: str) -> None:
    """Let the store copy an object, of at most 5 GiB, to another key.

    Raises:
        FileNotFoundError: there is no source.
        StorageError: the store failed.
    """
    request = {**_bucket_and_key(target_uri), "CopySource": _bucket_and_key(source_uri)}
    ask(source_uri, lambda client: client.copy_object(**request))


def list_prefixes(root_uri: str) -> Iterator[str]:
    """Yield the names right below a prefix that other names lie below, as folders do on a disk.

    Raises:
        StorageError: the store failed.
    """
    token: dict[str, str] = {}
    while True:
        try:
            page = _page(root_uri, Delimiter="/", **token)
        except FileNotFoundError:
            return
        yield from (entry["Prefix"].rstrip("/").rpartition("/")[2] for entry in page.get("CommonPrefixes", ()))
        if not page.get("IsTruncated"):
            return
        if page.get("NextContinuationToken") in {None, "", token.get("ContinuationToken")}:
            raise StorageError(f"{root_uri}: the store does not go on with its listing")
        token = {"ContinuationToken": page["NextContinuationToken"]}


def remove_all(root_uri: str) -> None:
    """Delete every object below a prefix; nothing may be created below it meanwhile.

    Raises:
        StorageError: the store failed, and some of the objects may exist.
    """
    files = list(list_objects(root_uri))
    for start in range(0, len(files), _OBJECTS_PER_REMOVAL):
        keys = [{"Key": _bucket_and_key(file.uri)["Key"]} for file in files[start : start + _OBJECTS_PER_REMOVAL]]
        _remove_keys(root_uri, keys)


def _remove_keys(root_uri: str, keys: list[dict[str, str]]) -> None:
    request = {"Bucket": _bucket_and_key(root_uri)["Bucket"], "Delete": {"Objects": keys, "Quiet": True}}
    answer = ask(root_uri, lambda client: client.delete_objects(**request))
    if failed := answer.get("Errors"):
        raise StorageError(f"{root_uri}: {len(failed)} objects cannot be removed: {one_line(failed[0].get('Message', ''))}")


def remove(file: FileInfo) -> None:
    """Delete the version of an object in `file`; an object that is already gone is no error.

    Only one request is sent: if its reply is lost, a second request might delete an object that was created meanwhile. A
    store without If-Match deletes any version.

    Raises:
        StorageError: the object was replaced by now, or it still exists.
    """
    wanted = {**_bucket_and_key(file.uri), "IfMatch": f'"{file.etag}"'}
    try:
        ask(file.uri, lambda client: client.delete_object(**wanted), tries=1)
    except FileNotFoundError:
        return
    except StorageError as error:
        with suppress(FileNotFoundError):
            if info(file.uri).etag != file.etag:
                raise changed(file.uri, file.etag) from error
            raise


def remove_probe(uri: str) -> None:
    """Delete a scratch object, whose name no other process has.

    Raises:
        StorageError: the store failed.
    """
    ask(uri, lambda client: client.delete_object(**_bucket_and_key(uri)))


def _check_size(uri: str, data: bytes) -> None:
    if len(data) > MAX_PUT_BYTES:
        raise StorageError(f"{uri}: one put holds at most {MAX_PUT_BYTES} bytes, got {len(data)}")


def _ranges(file: FileInfo) -> Iterator[bytes]:
    def fetch(start: int) -> bytes:
        length = min(STREAM_BYTES, file.size - start)
        return read_range(file.uri, start, length, file.etag, size=file.size)

    return map_ahead(fetch, range(0, file.size, STREAM_BYTES), STREAM_AHEAD)


def _check(file: FileInfo, crc32: int) -> None:
    """Check that the object was not replaced, and that the bytes read have the CRC32 that the store keeps."""
    head = ask(file.uri, lambda client: client.head_object(**_bucket_and_key(file.uri), ChecksumMode="ENABLED"))
    if _etag(head) != file.etag:
        raise changed(file.uri, file.etag)
    kept = head.get("ChecksumCRC32", "-")
    # A CRC32 with a dash is computed from the checksums of parts.
    if "-" not in kept and int.from_bytes(b64decode(kept), "big") != crc32:
        raise StorageError(f"{file.uri}: the bytes read do not have the CRC32 that the store keeps of the object")


def _undamaged(client: Any, request: dict[str, Any], uri: str, start: int, length: int, etag: str | None) -> bytes:
    """Send a request until its body is the whole range, at most `BODY_TRIES` times."""
    given = f"bytes {start}-{start + length - 1}/"
    for i_try in range(BODY_TRIES):
        tried(i_try)
        answer = client.get_object(**request)
        with closing(answer["Body"]) as body:
            # A store without If-Match returns any version.
            if etag and _etag(answer) not in {etag, ""}:
                raise changed(uri, etag)
            data, failure = _read(body)
        if len(data) == length and answer.get("ContentRange", given).startswith(given):
            return data
    raise StorageError(f"{uri}: asked for {length} bytes from {start}, {failure or f'got {len(data)}'}")


def _read(body: Any) -> tuple[bytes, str]:
    """Return the bytes received and an empty text, or no bytes and the reason."""
    try:
        # Read in pieces, a body would cost three times the processor time.
        return cast("bytes", body.read()), ""
    except FAILURES as error:
        return b"", one_line(error)


def _page(root_uri: str, **options: Any) -> dict[str, Any]:
    root = _bucket_and_key(root_uri)
    request = {"Bucket": root["Bucket"], "Prefix": f"{root['Key']}/" if root["Key"] else "", **options}
    return ask(root_uri, lambda client: client.list_objects_v2(**request))


def _bucket_and_key(uri: str) -> dict[str, Any]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key.rstrip("/")}


def _etag(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag") or "").strip('"')
