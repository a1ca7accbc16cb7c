"""A proxy in front of a real S3 server that injects faults of networks and stores into chosen requests.

    with s3_proxy(upstream_url) as proxy:
        proxy.set_rules(Rule(LostReply(), method="PUT", key=r"\\.parquet$", times=1))
        ... clients at proxy.url ...
        assert proxy.count("DELETE") == 0

The proxy forwards requests byte by byte, so that their signatures stay valid. The first rule that matches a request decides.
"""

import contextlib
import http.client
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_CODES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    409: "ConditionalRequestConflict",
    500: "InternalError",
    503: "SlowDown",
}


@dataclass(frozen=True)
class Answer:
    """An answer of the store, unchanged or with a fault."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Fault:
    """Handle a request; this base class injects no fault."""

    def apply(self, proxied: "_Proxied") -> None:
        proxied.send(proxied.ask_upstream())


class LostReply(Fault):
    """The store handles the request, and the client gets no reply."""

    def apply(self, proxied):
        proxied.ask_upstream()
        proxied.hang_up()


class Refuse(Fault):
    """The request does not reach the store: the connection ends."""

    def apply(self, proxied):
        proxied.hang_up()


@dataclass(frozen=True)
class Status(Fault):
    """The request does not reach the store: the answer is an error."""

    status: int

    def apply(self, proxied):
        body = f'<?xml version="1.0"?><Error><Code>{_CODES[self.status]}</Code><Message>told to</Message></Error>'
        proxied.send(Answer(self.status, [("Content-Type", "application/xml")], body.encode()))


class Cut(Fault):
    """The client gets half of the body, with the length of the whole body."""

    def apply(self, proxied):
        answer = proxied.ask_upstream()
        proxied.send(answer, sent=answer.body[: len(answer.body) // 2])
        proxied.hang_up()


class Short(Fault):
    """The client gets half of the body, with the length of that half."""

    def apply(self, proxied):
        answer = proxied.ask_upstream()
        proxied.send(Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2]))


class Zeros(Fault):
    """The second half of the body is zeros."""

    def apply(self, proxied):
        answer = proxied.ask_upstream()
        half = len(answer.body) // 2
        proxied.send(Answer(answer.status, answer.headers, answer.body[:half] + bytes(len(answer.body) - half)))


@dataclass(frozen=True)
class Drip(Fault):
    """The client gets one byte every `every_s` seconds."""

    every_s: float = 1.0

    def apply(self, proxied):
        answer = proxied.ask_upstream()
        proxied.send(answer, sent=b"")
        for byte in answer.body:
            if proxied.is_over.wait(self.every_s):
                break
            proxied.write(bytes([byte]))
        proxied.hang_up()


@dataclass(frozen=True)
class Silence(Fault):
    """The client gets no byte for `seconds`, then the connection ends. The store handles the request first, if `is_done`."""

    seconds: float = 60.0
    is_done: bool = False

    def apply(self, proxied):
        if self.is_done:
            proxied.ask_upstream()
        proxied.is_over.wait(self.seconds)
        proxied.hang_up()


@dataclass(frozen=True)
class First(Fault):
    """The function `do` runs before the store gets the request."""

    do: Callable[[], object]

    def apply(self, proxied):
        self.do()
        proxied.send(proxied.ask_upstream())


@dataclass
class Rule:
    """Conditions under which a fault happens to a request.

    `method` and `key` are regular expressions for the whole method and for any part of the path; `times`: largest number of
    requests; `seconds`: duration, from the first matching request; `probability`: chance of the fault for each matching
    request, drawn by a generator seeded with `seed`.
    """

    fault: Fault
    method: str = ".*"
    key: str = ""
    times: float = float("inf")
    seconds: float = float("inf")
    probability: float = 1.0
    seed: int = 0
    _end: float | None = field(default=None, init=False, repr=False)
    _rng: random.Random = field(init=False, repr=False)

    def __post_init__(self):
        self._rng = random.Random(self.seed)

    def fits(self, method, path):
        """Return whether the fault happens to a request; call it once for each request, because a match is counted."""
        if self.times <= 0 or not re.fullmatch(self.method, method) or not re.search(self.key, path):
            return False
        self._end = self._end or time.monotonic() + self.seconds
        if time.monotonic() >= self._end or self._rng.random() >= self.probability:
            return False
        self.times -= 1
        return True


@dataclass(frozen=True)
class Request:
    """An entry of the log; `fault` is the name of the injected fault, or empty."""

    method: str
    path: str
    range: str
    fault: str


class S3Proxy:
    """The handle of a running proxy."""

    def __init__(self, upstream_url: str) -> None:
        parts = urlsplit(upstream_url)
        self.upstream = (parts.hostname, parts.port)
        self.url = ""
        self.log: list[Request] = []
        self.is_over = threading.Event()
        self._rules: tuple[Rule, ...] = ()
        self._lock = threading.Lock()

    def set_rules(self, *rules: Rule) -> None:
        """Replace all rules, and clear the log."""
        with self._lock:
            self._rules = rules
            self.log = []

    def count(self, method: str = ".*", key: str = "", fault: str = ".*") -> int:
        """Count the requests in the log that match regular expressions, as in `Rule`."""
        with self._lock:
            return sum(
                bool(re.fullmatch(method, r.method) and re.search(key, r.path) and re.fullmatch(fault, r.fault))
                for r in self.log
            )

    def decide(self, method: str, path: str, byte_range: str) -> Fault:
        """Choose the fault of a request, and add the request to the log."""
        with self._lock:
            fault = next((rule.fault for rule in self._rules if rule.fits(method, path)), None)
            self.log.append(Request(method, path, byte_range, type(fault).__name__ if fault else ""))
        return fault or Fault()


class _Proxied(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    """HTTP version that answers `Expect: 100-continue`."""

    def do_GET(self):
        proxy = self.server.proxy
        self.is_over = proxy.is_over
        self._asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with contextlib.suppress(ConnectionError):
            proxy.decide(self.command, self.path, self.headers.get("Range", "")).apply(self)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def ask_upstream(self) -> Answer:
        with contextlib.closing(http.client.HTTPConnection(*self.server.proxy.upstream, timeout=60)) as upstream:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    upstream.putheader(name, value)
            upstream.endheaders(self._asked)
            answer = upstream.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())

    def send(self, answer: Answer, sent: bytes | None = None) -> None:
        """Send an answer with its length; if `sent` is given, send that in place of the body."""
        told = [value for name, value in answer.headers if name.lower() == "content-length"]
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        is_head = self.command == "HEAD" and told
        self.send_header("Content-Length", told[0] if is_head else str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.write(answer.body if sent is None else sent)

    def write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, *_args):
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, _request, _client_address):
        """Ignore errors: some tests have clients that disconnect."""


@contextlib.contextmanager
def s3_proxy(upstream_url: str) -> Iterator[S3Proxy]:
    """Run a proxy on loopback, on its own port, in threads of this process."""
    proxy = S3Proxy(upstream_url)
    server = _Server(("127.0.0.1", 0), _Proxied)
    server.proxy = proxy
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
