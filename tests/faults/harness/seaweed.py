"""Run a SeaweedFS server on loopback: another S3 implementation than that of the other tests."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers import free_port, http_status, stop, wait_for

BUCKET = "lensscan-weed"
ACCESS_KEY, SECRET_KEY = "canary-id", "canary-secret"


def weed() -> str | None:
    """Return the path of the program; None if it is not installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@contextlib.contextmanager
def seaweed_server(folder: Path, public: str | None = None, filer_port: int | None = None, n_volumes: int = 8) -> Iterator[str]:
    """Run master, volume, filer and S3 in one process with its files in `folder`; yield the URL of its S3.

    Anyone may read the bucket `public` without credentials; signed requests of strangers are refused there too. A volume holds
    64 MB. The filer, which writes objects without signatures, listens on `filer_port` if one is given.
    """
    port = free_port()
    names = (
        "master.port",
        "volume.port",
        "s3.port.grpc",
        "master.port.grpc",
        "volume.port.grpc",
        "filer.port.grpc",
    )
    ports = [f"-{name}={free_port()}" for name in names] + [f"-filer.port={filer_port or free_port()}"]
    config = folder / "s3.json"
    admin = {
        "name": "admin",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    everyone = {"name": "anonymous", "actions": [f"Read:{public}", f"List:{public}"]}
    config.write_text(json.dumps({"identities": [admin, *([everyone] if public else [])]}), encoding="utf-8")
    command = [weed(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports]
    # These two have fixed ports by default, which two servers at a time cannot share.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-s3", f"-s3.port={port}", f"-s3.config={config}", f"-volume.max={n_volumes}", "-master.volumeSizeLimitMB=64"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for("SeaweedFS", lambda: http_status(url) is not None)
        yield url
    finally:
        # Its own end takes 25 s, and a kill loses nothing.
        stop(process, 0.5)
