"""Private Prefect server on loopback, which tests can kill and start again on the same database."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import free_port, http_status, wait_for

BIN = Path(sys.executable).parent


@dataclass
class PrefectServer:
    """Prefect server with its database in `folder`; `auth` is the `user:password` that it requires."""

    folder: Path
    auth: str | None = None
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
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "server.log").open("a") as log:
            command = [BIN / "prefect", "server", "start", "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        wait_for("the Prefect server", lambda: http_status(f"{self.url}/health") == 200)

    def end(self, how=signal.SIGTERM):
        """End the server with all of its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)
        self.process.wait(40)


@contextlib.contextmanager
def prefect_server(folder, auth=None):
    server = PrefectServer(folder, auth)
    try:
        server.start()
        yield server
    finally:
        server.end(signal.SIGKILL)
