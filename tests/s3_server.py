"""Run moto's S3 server on loopback with writes in one step each: `python s3_server.py PORT`.

S3 looks at a key and changes it in one step, moto in two, between which another thread may change it.
"""

import sys
from io import BytesIO
from threading import Lock

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

_SERVE = DomainDispatcherApplication(create_backend_app)
_ONE_WRITE = Lock()


def application(environ, start_response):
    if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
        return _SERVE(environ, start_response)
    if environ.get("CONTENT_LENGTH"):
        # A client that sends its data slowly stops no other writer.
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    with _ONE_WRITE:
        return _SERVE(environ, start_response)


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)
