"""Run the services of the Compose file as processes of this machine, each with the command and the variables of its container.

A service name becomes an address of loopback, a port a free one, a secret the file that `make_secrets.sh` made. What containers
would keep apart gets options of its own: the ports of Ray's agents, and the folders of Prefect.
"""

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.infra.deploy.complaints import program
from tests.infra.deploy.documents import COMPOSE, DEPLOY, ROOT
from tests.servers import free_port, stop, wait_for

BIN = Path(sys.executable).parent
SERVICES = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
ADDRESSES = {"ray-head": "127.0.0.2", "ray-worker": "127.0.0.3", "store": "127.0.0.1", "prefect": "127.0.0.1"}
PORTS = ("4200", "6379", "8265", "8333", "10001")
SHARED_PORT = "8080"
"""Port that several containers use, each in a network of its own."""


@dataclass
class Machine:
    """Services that run in a folder."""

    folder: Path
    ports: dict = field(default_factory=lambda: {port: str(free_port(above=20000)) for port in PORTS})
    own_ports: dict = field(default_factory=dict)
    processes: dict = field(default_factory=dict)
    logs: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def here(self, name, word):
        """Return a word of a service's command or environment as it must be on this machine."""
        own = self.own_ports.setdefault(name, str(free_port(above=20000)))
        word = str(word).replace("/run/secrets/", f"{self.folder}/secrets/").replace("/data", f"{self.folder}/objects")
        word = word.replace("${LENSSCAN_BUCKET}", "survey").replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - it is replaced
        word = re.sub(r"\$\{LENSSCAN_BUCKET:\?[^}]*\}", "survey", re.sub(r"\$\{LENSSCAN_RAY_CPUS:\?[^}]*\}", "2", word))
        for service, address in ADDRESSES.items():
            word = re.sub(rf"(?<=[/=]){service}(?=:|$)|^{service}(?=:)", address, word)
        for port, free in {**self.ports, SHARED_PORT: own}.items():
            word = re.sub(rf"(?<=[:=]){port}\b|^{port}$", free, word)
        return word

    def command(self, name):
        words = [self.here(name, word) for word in SERVICES[name]["command"]]
        if name == "store":
            kinds = ("master.port", "volume.port", "filer.port", "master.port.grpc", "volume.port.grpc", "filer.port.grpc")
            ports = [f"-{kind}={free_port()}" for kind in (*kinds, "s3.port.grpc")]
            return [program("weed"), *words, *ports, "-volume.max=8", "-master.volumeSizeLimitMB=64"]
        if name.startswith("ray-"):
            ports = (free_port(above=20000), free_port(above=20000))
            words += [f"--node-ip-address={ADDRESSES[name]}", f"--dashboard-agent-listen-port={ports[0]}"]
            words += [f"--dashboard-agent-grpc-port={ports[1]}"]
        return [DEPLOY / "entrypoint.sh", *words]

    def env(self, name):
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "RAY_", "PREFECT_", "LENSSCAN_"))
        }
        given = {key: self.here(name, value) for key, value in SERVICES[name].get("environment", {}).items()}
        if name == "prefect":
            # There is no Postgres here: Prefect makes an SQLite database.
            given = {key: value for key, value in given.items() if "DATABASE" not in key}
        port = self.here(name, SHARED_PORT)
        own = {"PREFECT_HOME": str(self.folder / f"home-{name}"), "PREFECT_WORKER_WEBSERVER_PORT": port}
        image = {"LENSSCAN_CHECKOUT": str(ROOT), "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        return {**kept, **image, **own, **given, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}"}

    def run(self, name, words=None):
        """Run a service that ends, or other words in its container; return what it printed."""
        command = self.command(name) if words is None else [DEPLOY / "entrypoint.sh", *words]
        done = subprocess.run(command, env=self.env(name), cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name):
        """Start a service that stays; its health check comes with `await_health`."""
        log = self.logs.enter_context((self.folder / f"{name}.log").open("w"))
        self.processes[name] = subprocess.Popen(self.command(name), env=self.env(name), cwd=ROOT, stdout=log, stderr=log)

    def await_health(self, name):
        """Wait until the service's own health check is content."""
        check = [self.here(name, word) for word in SERVICES[name]["healthcheck"]["test"][1:]]

        def is_healthy():
            assert self.processes[name].poll() is None, (self.folder / f"{name}.log").read_text()
            return subprocess.run(check, env=self.env(name), capture_output=True, check=False, timeout=60).returncode == 0

        wait_for(name, is_healthy, seconds=150)

    def end(self):
        """End all services at once."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            stop(process, 10)
        self.logs.close()
