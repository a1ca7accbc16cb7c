"""Start Ray clusters of one node from the command line, as an operator does."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.ray.cluster_access import Answer, ask
from tests.servers import end_group, free_port, wait_for

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Head:
    """A running head; `env` is the environment of a program on the same machine, without the token."""

    pid: int
    gcs: str
    client: str
    dashboard_port: int
    metrics_port: int
    env: dict[str, str]


@contextlib.contextmanager
def ray_head(token=None, *, dashboard=False, settings=None):
    """Run a cluster that requires `token`, or one that is open to anyone; a dashboard costs three seconds of a core.

    `settings` are further environment variables of the head, such as Ray's own.
    """
    # Ray's sockets need a short path.
    with contextlib.ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env |= {"HOME": str(folder), "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0", "GRPC_ENABLE_FORK_SUPPORT": "0"}
        env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
        secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
        # Above 20000, where Ray's own worker ports end.
        gcs, client, web, agent, metrics = [free_port(above=20000) for _ in range(5)]
        options = (
            f"--port={gcs} --ray-client-server-port={client} --dashboard-port={web} --include-dashboard={dashboard} "
            f"--dashboard-agent-listen-port={agent} --metrics-export-port={metrics} --node-ip-address=127.0.0.1 --num-cpus=1"
        )
        command = [BIN / "ray", "start", "--head", "--block", *options.split()]
        env_of_head = env | secret | (settings or {})
        log = cleanup.enter_context((folder / "head.log").open("w"))
        head = subprocess.Popen(command, env=env_of_head, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        # Terminated, it would wait half a minute for detached actors, which outlive Ray Train's runs.
        cleanup.callback(end_group, head, signal.SIGKILL)
        found = Head(head.pid, f"127.0.0.1:{gcs}", f"ray://127.0.0.1:{client}", web, metrics, env)
        wait_for("the Ray head", lambda: all(ask(place) is not Answer.NONE for place in (found.gcs, found.client)))
        yield found
