"""Send one request to an S3 store: retry while that makes sense, and return in bounded time or raise a one-line error.

The client is botocore's own: it compares the store's checksums, sends every condition and names every refusal. obstore cannot
delete on a condition, read a kept CRC32 or a profile; s3fs and aiobotocore resend by themselves what may be sent only once.
"""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast

from botocore import UNSIGNED  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - that of botocore: the store is not reached
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.session import get_session  # type: ignore[import-untyped]
from botocore.utils import parse_timestamp  # type: ignore[import-untyped]
from urllib3.exceptions import HTTPError

from infra.store.files import StorageError, one_line, refused
from infra.store.retries import count_tries
from infra.store.s3_access import Access, access_to

REQUEST_TRIES = 5
"""Largest number of tries of a request that is throttled, answered by a 5xx or cut off.

botocore waits 0-1, 0-2, 0-4 and 0-8 s in between.
"""
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
"""Longest wait between two pieces of an answer, in seconds."""
DEADLINE_S = 60.0
"""Longest time for one answer with all tries, in seconds; its bytes add their time at `LEAST_BYTES_PER_S`.

Without such a limit, a store that sends bytes very slowly could hold a reader for ever.
"""
LEAST_BYTES_PER_S = 2**17
MOST_CONNECTIONS = 64
"""Largest number of idle connections that a client keeps."""

FAILURES = (OSError, ValueError, BotoCoreError, HTTPError)
"""Exceptions that botocore raises besides ClientError; ValueError stands for an endpoint that is not a URL."""

_BAD_CREDENTIALS = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
"""Codes of a store that knows no such user, or no longer."""
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, SSOError, TokenRetrievalError)
_RENEW = "renew the credentials"

Answer = TypeVar("Answer")
_making = threading.Lock()


def ask(uri: str, question: Callable[[Any], Answer], seconds: float | None = None, tries: int | None = None) -> Answer:
    """Send a request to the store and return its answer; all threads may ask at the same time.

    Args:
        uri: URI that the request concerns, for messages.
        question: Function from a botocore client to the answer.
        seconds: Longest time that the request may take; `DEADLINE_S` by default.
        tries: Largest number of requests; `REQUEST_TRIES` by default, 1 for an operation that must not be done twice.

    Raises:
        FileNotFoundError: the store answered 404.
        StorageError: any other failure; the text names the object and holds no credentials; `http_status` gives the status.
    """
    seconds = DEADLINE_S if seconds is None else seconds
    with _failures(uri):
        bucket = uri.removeprefix("s3://").partition("/")[0]
        client = s3_client(bucket, tries or REQUEST_TRIES)
        answer = _in_thread(lambda: question(client))
        if not wait([answer], seconds).done:
            raise StorageError(f"{uri}: no whole answer within {seconds:.3g} s")
        return answer.result()


def s3_client(bucket: str, tries: int) -> Any:
    """Return this process's botocore client for a bucket; it sends a request at most `tries` times."""
    # Making a client costs as much as many reads of a small object, so buckets with equal access share one.
    with _making:
        return _client(os.getpid(), access_to(bucket), CONNECT_TIMEOUT_S, READ_TIMEOUT_S, tries)


@cache
def _client(_process: int, access: Access, connect_timeout_s: float, read_timeout_s: float, tries: int) -> Any:
    config = Config(
        signature_version=UNSIGNED if access.is_anonymous else None,
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=MOST_CONNECTIONS,
    )
    session = get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
    client = session.create_client("s3", access.region, endpoint_url=access.endpoint, config=config)
    count_tries(client)
    return client


def timestamp(text: str) -> datetime:
    """Return a time in an answer of the store; botocore's own parser takes as long as all else of a listing."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return cast("datetime", parse_timestamp(text))


def credentials_source() -> str | None:
    """Return where this process's credentials come from, such as `env` or `shared-credentials-file`; None without any."""
    with suppress(BotoCoreError):
        found = get_session().get_credentials()
        return None if found is None else str(found.method)
    return None


def deadline_s(n_bytes: int, until: float | None = None) -> float:
    """Return the longest time for a request or an answer of `n_bytes`; `until` is an earlier end on the monotonic clock."""
    limit = DEADLINE_S + n_bytes / LEAST_BYTES_PER_S
    return limit if until is None else max(min(limit, until - time.monotonic()), 0.001)


def _in_thread(call: Callable[[], Answer]) -> Future[Answer]:
    """Start a call that the caller can stop waiting for; the process may end before the call does."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - every exception is raised again in the caller
            answer.set_exception(error)

    threading.Thread(target=run, name="s3-request", daemon=True).start()
    return answer


@contextmanager
def _failures(uri: str) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except ClientError as error:
        if status_of(error) == 404:
            raise FileNotFoundError(errno.ENOENT, "no such object or bucket", uri) from error
        raise refused(f"{uri}: {one_line(error)} (HTTP {status_of(error)})", _remedy(error)) from error
    except FAILURES as error:
        hint = "; is this machine offline?" if isinstance(error, ConnectionError) else ""
        raise refused(f"{uri}: {one_line(error)}{hint}", _RENEW if isinstance(error, _NO_CREDENTIALS) else None) from error


def _remedy(error: ClientError) -> str | None:
    """Return what a person has to do before the store answers another request; None if another request may be answered."""
    if error.response.get("Error", {}).get("Code") in _BAD_CREDENTIALS:
        return _RENEW
    return "make room" if status_of(error) == 507 else None


def http_status(error: BaseException) -> int:
    """Return the HTTP status of a refusal from an error that `ask` raised; 0 if the store did not answer."""
    return status_of(error.__cause__) if isinstance(error.__cause__, ClientError) else 0


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
