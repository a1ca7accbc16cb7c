"""Known secrets that tests search for in everything that is written."""

import base64
import os
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq


def _secret():
    return f"canary{secrets.token_hex(20)}"


@dataclass(frozen=True)
class Canaries:
    """One canary for each setting that holds a secret."""

    aws_key: str = field(default_factory=_secret)
    aws_token: str = field(default_factory=_secret)
    endpoint_user: str = field(default_factory=_secret)
    endpoint_password: str = field(default_factory=_secret)
    ray_token: str = field(default_factory=lambda: secrets.token_hex(32))
    prefect_password: str = field(default_factory=_secret)

    def endpoint(self, url):
        """Return the URL of a store with a user and a password in it."""
        return url.replace("://", f"://{self.endpoint_user}:{self.endpoint_password}@")

    def env(self, home, ray_folder):
        """Return the environment of a process with these secrets and without those of this process."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAY_", "PREFECT_", "LENSSCAN_"))
        }
        return kept | {
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": self.aws_key,
            "AWS_SESSION_TOKEN": self.aws_token,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RAY_AUTH_TOKEN": self.ray_token,
            "RAY_TMPDIR": str(ray_folder),
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def found_in(self, text):
        """Return the names of the canaries in a text, plain or in base64."""
        data = text if isinstance(text, bytes) else text.encode()
        return sorted(name for name, value in vars(self).items() if any(form in data for form in _forms(value)))

    def found_below(self, folder):
        """Return `(path, names)` of files that hold canaries; the content of Parquet and SQLite files is decoded."""
        found = [(path, self.found_in(_content(path))) for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        return [(str(path), names) for path, names in found if names]


def _forms(value):
    """Yield the value itself, and the part of its base64 that is independent of neighbouring bytes."""
    yield value.encode()
    for n_before in range(3):
        coded = base64.b64encode(b"\0" * n_before + value.encode())
        yield coded[4 if n_before else 0 : -4]


def _content(path):
    data = path.read_bytes()
    if data.startswith(b"PAR1"):
        table = pq.read_table(path)
        data += repr((table.schema, table.schema.metadata, pq.read_metadata(path).metadata, table.to_pylist())).encode()
    if data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            data += "\n".join(database.iterdump()).encode()
    return data
