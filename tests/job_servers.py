"""Ray head with its job server on loopback, closed to others by a token, as an operator starts it."""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.deploy.local_ray import _is_ready
from tests.servers import free_port, stop, wait_for

BIN = Path(sys.executable).parent


@contextlib.contextmanager
def job_server(folder, **variables):
    """Yield the address of a job server and the environment of its clients, which holds its token.

    `variables` are further ones of the head, which the jobs inherit.
    """
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env |= {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    # Ray's sockets need a short path.
    short = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    # Ports above 20000, where Ray's own worker ports end.
    ports = [free_port(above=20000) for _ in range(4)]
    options = (
        f"--port={ports[0]} --dashboard-port={ports[1]} --ray-client-server-port={ports[2]} --temp-dir={short} "
        f"--dashboard-agent-listen-port={ports[3]} --dashboard-host=127.0.0.1 --node-ip-address=127.0.0.1 --num-cpus=2"
    )
    command = [BIN / "ray", "start", "--head", "--block", *options.split()]
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(command, env=env | variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{ports[1]}"
            # Its pages answer before its node has started, which jobs need.
            wait_for("the Ray head", lambda: _is_ready(address, token.read_text()))
            yield address, env
        finally:
            stop(head)
            shutil.rmtree(short, ignore_errors=True)
