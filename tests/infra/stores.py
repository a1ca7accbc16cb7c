"""Minimal S3 servers that misbehave."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class BadStore(BaseHTTPRequestHandler):
    """An S3 server that accepts If-None-Match and ignores it, as some stores do."""

    protocol_version = "HTTP/1.1"
    """HTTP version that answers `Expect: 100-continue`."""

    def do_PUT(self):
        self.server.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def do_GET(self):
        data = self.server.objects.get(self.path)
        self.answer(404 if data is None else 200, data or b"")

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self):
        self.server.objects.pop(self.path, None)
        self.answer(204)

    def answer(self, status, data=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_args):
        pass


class SwappingStore(BadStore):
    """An S3 server that honours If-None-Match and ignores If-Match: of two writers each replaces the other's object."""

    def do_PUT(self):
        if "If-None-Match" in self.headers and self.path in self.server.objects:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(412)
        else:
            super().do_PUT()


class LosingStore(BadStore):
    """An S3 server that honours If-None-Match, but answers 500 after it has written an object."""

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        is_new = self.server.objects.setdefault(self.path, data) is data
        self.answer(500 if is_new else 412)


class RefusingStore(BadStore):
    """An S3 server that answers reads and PUTs with `server.status` and, in a body, `server.code`; it counts the reads."""

    def do_GET(self):
        self.server.n_asked += 1
        self.refuse()

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.refuse()

    def refuse(self):
        self.answer(self.server.status, f"<Error><Code>{self.server.code}</Code></Error>".encode() if self.server.code else b"")


class ListingStore(BadStore):
    """An S3 server that lists `server.pages`: a dictionary from the token of a request to the page's keys and next token.

    A next token of None marks the last page; an empty one claims that there is another page and gives no token for it.
    """

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query).get("continuation-token", [""])[0]
        if asked not in self.server.pages:
            self.answer(404)
            return
        keys, token = self.server.pages[asked]
        objects = "".join(f'<Contents><Key>{key}</Key><Size>7</Size><ETag>"e-{key}"</ETag></Contents>' for key in keys)
        following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        is_truncated = "false" if token is None else "true"
        text = f"<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{following}{objects}</ListBucketResult>"
        self.answer(200, text.encode())


@contextlib.contextmanager
def serving(handler, patch):
    """Run a store of the given class and point S3 clients to it meanwhile."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.objects, server.pages, server.n_asked, server.code = {}, {}, 0, ""
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "canary-secret")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
