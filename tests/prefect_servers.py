"""Private Prefect server on loopback, which tests can kill and start again on the same database."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import by_one_process, end_group, free_port, http_status, wait_for

BIN = Path(sys.executable).parent


@dataclass
class PrefectServer:
    """Prefect server with its database in `folder`; `auth` is the `user:password` that it requires.

    `tables` is the place of a database with Prefect's tables. The first server makes them, which takes ten seconds of a core,
    and leaves them there for the servers that start after it, also those of other processes.
    """

    folder: Path
    auth: str | None = None
    tables: Path | None = None
    port: int = field(default_factory=free_port)
    process: Any = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def env(self):
        """Environment of a program that uses the server."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        env |= {"PREFECT_API_URL": self.url, "PREFECT_HOME": str(self.folder / "client"), "PREFECT_CLI_COLORS": "false"}
        return env | ({"PREFECT_API_AUTH_STRING": self.auth} if self.auth else {})

    def start(self):
        env = self.env | {"PREFECT_HOME": str(self.folder / "server"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        if self.auth:
            env["PREFECT_SERVER_API_AUTH_STRING"] = self.auth
        database = self.folder / "server" / "prefect.db"
        database.parent.mkdir(exist_ok=True, parents=True)
        with (self.folder / "server.log").open("a") as log, shared_tables(self.tables, database):
            command = [BIN / "prefect", "server", "start", "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            wait_for("the Prefect server", lambda: http_status(f"{self.url}/health") == 200)

    def end(self, how=signal.SIGTERM):
        """End the server with all of its processes."""
        end_group(self.process, how)


@contextlib.contextmanager
def shared_tables(tables, database):
    """Copy the database `tables` to a server that starts in the `with` block, or, if there is none yet, from that server."""
    if tables is None or database.exists():
        yield
        return
    with by_one_process(tables):
        if not tables.exists():
            yield
            copy_database(database, tables)
            return
    copy_database(tables, database)
    yield


def copy_database(source, target):
    """Copy an SQLite database, also while a server uses it."""
    with contextlib.closing(sqlite3.connect(source)) as read, contextlib.closing(sqlite3.connect(target)) as written:
        read.backup(written)


@contextlib.contextmanager
def prefect_server(folder, auth=None, tables=None):
    server = PrefectServer(folder, auth, tables)
    try:
        server.start()
        yield server
    finally:
        server.end(signal.SIGKILL)
