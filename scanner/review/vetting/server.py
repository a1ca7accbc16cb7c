"""The server of the page: a thin shell around a session, on loopback only."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import h11
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from infra.errors import LensscanError
from infra.json_values import finite
from scanner.review.vetting.acts import PageActs
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.guard import PARAMETER, Guard
from scanner.review.vetting.page_files import SERVED_POLICY, served_files, served_page
from scanner.review.vetting.session import NotYetError, Session

MOST_BYTES = 2**20
"""Largest size of a message with acts."""
LOOK_EVERY_S = 10.0
"""Time for each part of a request, in seconds; from then on at most as long again until its connection is closed."""
HEADERS = {
    "content-security-policy": SERVED_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer."""
SESSION = "x-lensscan-session"
"""Header in which a page names the origin of its state; a page of an earlier version names none."""
_LOG = logging.getLogger(__name__)


def application(session: Session, guard: Guard) -> ASGIApp:
    """Return the ASGI application of a session."""
    page, page_files = served_page(f"{PARAMETER}={guard.token}"), served_files()

    async def index(_request: Request) -> Response:
        return HTMLResponse(page)

    async def file_of_page(request: Request) -> Response:
        text, media_type = page_files.get(request.path_params["name"], ("", ""))
        return Response(text, media_type=media_type) if media_type else _trouble(404, "there is no such page")

    async def state(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(session.state))

    async def images(request: Request) -> Response:
        _check_session(request, session)
        keys = request.query_params.get("keys", "").split(",")
        return Response(await run_in_threadpool(session.images, keys), media_type="application/octet-stream")

    async def facts(request: Request) -> Response:
        _check_session(request, session)
        return JSONResponse(finite(await run_in_threadpool(session.facts, request.query_params.get("key", ""))))

    async def acts(request: Request) -> Response:
        _check_session(request, session)
        read, refused = PageActs.model_validate_json(await _body(request)).read()
        found = await run_in_threadpool(session.take, read)
        return JSONResponse({**found, "refused": [*refused, *found["refused"]]})

    routes = [
        Route("/", index),
        Route("/page/{name}", file_of_page),
        Route("/api/state", state),
        Route("/api/images", images),
        Route("/api/facts", facts),
        Route("/api/acts", acts, methods=["POST"]),
    ]
    kinds = (NotYetError, ValidationError, _TooLargeError, _OtherSessionError, LensscanError, OSError, Exception)
    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = dict.fromkeys(kinds, _answer_to)
    return _Guarded(_Unbroken(Starlette(routes=routes, exception_handlers=handlers | {404: _missing, 405: _missing})), guard)


class _TooLargeError(Exception):
    """A message has too many bytes."""


class _OtherSessionError(Exception):
    """A page that was opened on another server sends to this one."""


def _check_session(request: Request, session: Session) -> None:
    """Refuse a page that stayed open while its port went to another catalogue: the keys of its views may be known here, too.

    Raises:
        _OtherSessionError: the page names another session.
    """
    if request.headers.get(SESSION, session.origin) != session.origin:
        raise _OtherSessionError(
            "this page is of another catalogue or grader, and its votes stay in this browser: "
            "open the address that `lensscan vet` prints now"
        )


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise _TooLargeError(f"a message must have at most {MOST_BYTES} bytes")
    return b"".join(parts)


async def _answer_to(request: Request, error: Exception) -> Response:
    """Return an answer in one line, never a traceback."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return _trouble(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    codes = (
        (ClientDisconnect, 400),
        (NotYetError, 403),
        (_TooLargeError, 413),
        (_OtherSessionError, 409),
        (LensscanError, 503),
        (OSError, 503),
    )
    code = next((code for kind, code in codes if isinstance(error, kind)), 500)
    # Only a defect is the program's own: its traceback belongs in the log, that of a full disk does not.
    _LOG.log(logging.ERROR if code == 500 else logging.DEBUG, "%s %s failed", request.method, request.url.path, exc_info=error)
    return _trouble(code, " ".join(str(error).split())[:400] if code != 500 else "the server has a defect; see its log")


async def _missing(_request: Request, _error: Exception) -> Response:
    return _trouble(404, "there is no such page")


def _trouble(code: int, text: str) -> Response:
    return JSONResponse({"error": text}, code)


class _Guarded:
    """The application, for requests of its own page alone, with `HEADERS` in every answer."""

    def __init__(self, inner: ASGIApp, guard: Guard) -> None:
        self._inner, self._guard = inner, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        request = Request(scope)
        headers = dict(Headers(scope=scope).items())
        why = self._guard.refusal(request.method, request.url.path, headers, dict(request.query_params))
        answer = self._inner if why is None else PlainTextResponse(f"Refused: {why}.\n", 403)
        await answer(scope, receive, send_safely)


class _Timely(H11Protocol):
    """HTTP/1.1 that closes a connection whose client does not end its request: idle ones would use up all descriptors."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self, before: tuple[object, object] | None) -> None:
        """Close the connection if it still waits for the same part of the same request as before."""
        now = self.conn.their_state, self.cycle
        if now == before and now[0] in {h11.IDLE, h11.SEND_BODY}:
            self.transport.close()
        self._next_look = self.loop.call_later(LOOK_EVERY_S, self._look, now)


class _Unbroken:
    """The application, whose last error does not reach the server's log: it was answered already."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Exception):
            await self._inner(scope, receive, send)


def bound(port: int, preferred: int) -> socket.socket:
    """Return a socket that listens on a port of loopback: another process could take a port that is only bound.

    Args:
        port: The port; 0 for `preferred`, or any free one where that is taken.
        preferred: A port that is the same whenever a grader comes back, so that the page finds what it has kept.

    Raises:
        VettingError: the port is taken, or may not be used.
        OSError: no port can be had.
    """
    for candidate in (port,) if port else (preferred, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            if port:
                why = (error.strerror or str(error)).lower()
                raise VettingError(f"--port {port}: {why}; leave --port out for a free one") from error
            if not candidate:
                raise
        else:
            return listener
    raise AssertionError


def web_server(app: ASGIApp) -> Server:
    """Return the server of an application; it listens once it runs."""
    return Server(
        Config(
            app,
            http=_Timely,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            # A request that is none is the sender's affair, and the terminal is the grader's.
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
    )


def serve(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests at a socket that listens until the process is interrupted; `ready` is called first."""
    ready()
    web_server(app).run(sockets=[listener])
