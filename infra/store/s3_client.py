"""Send one request to an S3 store: retry while that makes sense, and return in bounded time or raise a one-line error."""

import errno
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, TypeVar, cast

import s3fs
from aiohttp import ClientError as HttpError
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from botocore.session import get_session  # type: ignore[import-untyped]
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

from infra.store.files import StorageError, one_line

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

FAILURES = (OSError, ValueError, BotoCoreError, HttpError)
"""Exceptions that clients raise besides ClientError; ValueError stands for an endpoint that is not a URL."""

Answer = TypeVar("Answer")
_ENDPOINT_USER = re.compile(r"^(\w+://)?.*@")


class S3Client(s3fs.S3FileSystem):  # type: ignore[misc]
    """s3fs with fewer retries: by default it tries five times what botocore has already tried five times."""

    retries = 2


def s3_filesystem() -> S3Client:
    """Return the S3 client of this process for the endpoint in the environment; all threads may use it.

    Listings are never cached, because other processes write too.
    """
    return _client(os.getpid(), _endpoint(), CONNECT_TIMEOUT_S, READ_TIMEOUT_S, REQUEST_TRIES)


def _endpoint() -> str | None:
    """Return the endpoint without user and password: requests are signed, and a client without the secret cannot leak it."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return _ENDPOINT_USER.sub(r"\1", endpoint) if endpoint else None


@cache
def _client(_process: int, endpoint: str | None, connect_timeout_s: float, read_timeout_s: float, tries: int) -> S3Client:
    # fsspec would make one client for each thread, which costs as much as many reads of a small object.
    config = {
        "connect_timeout": connect_timeout_s,
        "read_timeout": read_timeout_s,
        "retries": {"mode": "standard", "total_max_attempts": tries},
    }
    return S3Client(endpoint_url=endpoint, use_listings_cache=False, config_kwargs=config)


def deadline_s(n_bytes: int, until: float | None = None) -> float:
    """Return the longest time for a request or an answer of `n_bytes`; `until` is an earlier end on the monotonic clock."""
    limit = DEADLINE_S + n_bytes / LEAST_BYTES_PER_S
    # The result is never zero, which would mean no limit.
    return limit if until is None else max(min(limit, until - time.monotonic()), 0.001)


def ask(uri: str, question: Callable[[Any], Awaitable[Answer]], seconds: float | None = None) -> Answer:
    """Send a request to the store and return its answer.

    Args:
        uri: URI that the request concerns, for messages.
        question: Function from an aiobotocore client to the awaitable answer.
        seconds: Longest time that the request may take; `DEADLINE_S` by default.

    Raises:
        FileNotFoundError: the store answered 404.
        StorageError: any other failure; the text names the object and holds no credentials; `http_status` gives the status.
    """
    store = s3_filesystem()
    seconds = DEADLINE_S if seconds is None else seconds

    async def put() -> Answer:
        return await question(await store.set_session())

    with _failures(uri, seconds):
        return cast("Answer", sync(store.loop, put, timeout=seconds))


def ask_once(uri: str, question: Callable[[Any], Answer]) -> Answer:
    """Send a single request, for an operation that must not be done twice. `question` gets a botocore client.

    The client of `ask` would resend every request that HTTP calls idempotent when a connection breaks off.
    """
    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=1,
    )
    with (
        _failures(uri, READ_TIMEOUT_S),
        closing(get_session().create_client("s3", endpoint_url=_endpoint(), config=config)) as client,
    ):
        return question(client)


@contextmanager
def _failures(uri: str, seconds: float) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except FSTimeoutError as error:
        raise StorageError(f"{uri}: no whole answer within {seconds:.3g} s") from error
    except ClientError as error:
        if _status(error) == 404:
            raise FileNotFoundError(errno.ENOENT, "no such object or bucket", uri) from error
        raise StorageError(f"{uri}: {one_line(error)}") from error
    except FAILURES as error:
        raise StorageError(f"{uri}: {one_line(error)}") from error


def http_status(error: BaseException) -> int:
    """Return the HTTP status of a refusal from an error that `ask` raised; 0 if the store did not answer."""
    return _status(error.__cause__) if isinstance(error.__cause__, ClientError) else 0


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
