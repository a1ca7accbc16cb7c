"""Bring up an S3 store, a Prefect server and a Ray head on this machine, each on loopback and closed to others.

`make services` runs this module until Ctrl-C. The file `env` in its folder directs the programs of another shell to the
servers; it holds their secrets, so only this user can read it, and it is removed when they end.
"""

import argparse
import contextlib
import fcntl
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infra.deploy.local_prefect import local_prefect
from infra.deploy.local_process import FOREIGN, LocalServiceError, ended_by_signals, is_open, write_private
from infra.deploy.local_ray import local_ray
from infra.deploy.local_s3 import local_s3
from infra.errors import LensscanError

BUCKET = "survey"
ROOT = Path(__file__).parents[2]
SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class Services:
    """Running servers: their addresses, and the file and the variables that direct a program to them."""

    s3_url: str
    prefect_url: str
    """Address of the pages; the API is below `/api`."""
    ray_address: str
    """`HOST:PORT` of the cluster."""
    jobs_url: str
    """Ray's dashboard and job server."""
    environment: Path
    variables: dict[str, str] = field(repr=False)
    """Environment variables of clients; some are secrets."""

    @property
    def addresses(self) -> dict[str, str]:
        """Address of each server by its name."""
        return {"S3 store": self.s3_url, "Prefect": self.prefect_url, "Ray": self.ray_address, "Ray's dashboard": self.jobs_url}

    @property
    def shell_line(self) -> str:
        """Line that directs a shell in the current folder to the servers."""
        path = self.environment
        # With a slash in any case: a shell looks for a name without one in its path.
        shown = f"./{path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else str(path)
        return f". {shlex.quote(shown)}"

    def silent(self) -> list[str]:
        """Return the names of the servers that no longer listen."""
        ports = {name: int(address.rpartition(":")[2]) for name, address in self.addresses.items()}
        return [name for name, port in ports.items() if not is_open(port)]


@contextlib.contextmanager
def local_services(folder: Path) -> Iterator[Services]:
    """Run the three servers, their files in `folder`, while a `with` block runs.

    Tiles, catalogue, deployments and flow runs stay in the folder and are there again the next time; ports and secrets are new.

    Raises:
        LocalServiceError: a server is not installed or does not start, or those of this folder run already.
        OSError: the folder cannot be written.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        _only_here(folder),
        local_s3(folder / "s3", BUCKET) as store,
        local_prefect(folder / "prefect") as prefect,
        local_ray(folder / "ray", store) as ray,
    ):
        environment = folder / "env"
        variables = {**store, **prefect, **ray, **_places()}
        write_private(environment, environment_text(variables))
        try:
            yield Services(
                s3_url=store["AWS_ENDPOINT_URL"],
                prefect_url=prefect["PREFECT_API_URL"].removesuffix("/api"),
                ray_address=ray["LENSSCAN_RAY_ADDRESS"],
                jobs_url=ray["RAY_API_SERVER_ADDRESS"],
                environment=environment,
                variables=variables,
            )
        finally:
            environment.unlink(missing_ok=True)


def environment_text(variables: dict[str, str]) -> str:
    """Return a file for a shell to read: it sets the variables, and puts the programs beside this Python first.

    Before, it removes what would direct clients elsewhere, such as the session token of another store.
    """
    found = " ".join(f"-e 's/^\\({prefix}[A-Za-z0-9_]*\\)=.*/\\1/p'" for prefix in FOREIGN)
    lines = [f'for _name in $(env | sed -n {found}); do unset "$_name"; done; unset _name']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    programs = shlex.quote(str(Path(sys.executable).parent))
    return "\n".join([*lines, f'export PATH={programs}:"$PATH"', ""])


def _places() -> dict[str, str]:
    """Return the variables that `prefect.yaml` reads."""
    return {
        "LENSSCAN_CHECKOUT": str(ROOT),
        "LENSSCAN_TILES": f"s3://{BUCKET}/tiles/{{night}}",
        "LENSSCAN_CATALOGUE": f"s3://{BUCKET}/catalogue",
        "LENSSCAN_COLLECTION": f"s3://{BUCKET}/collection",
    }


@contextlib.contextmanager
def _only_here(folder: Path) -> Iterator[None]:
    """Keep a second set of servers away from the same files, which two of them would destroy."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalServiceError(f"the services of {folder} run already; use them, or end them first") from error
        yield


def main() -> int:
    """Run the servers until Ctrl-C, another signal that ends them, or the end of one of them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("services"), help="folder of the servers' files")
    folder = parser.parse_args().out
    sys.stdout.write("starting an S3 store, a Prefect server and a Ray head; this takes half a minute\n")
    sys.stdout.flush()
    try:
        with ended_by_signals(), local_services(folder) as services:
            _print(services)
            while not (silent := services.silent()):
                time.sleep(SECONDS_BETWEEN_LOOKS)
            raise LocalServiceError(f"{', '.join(silent)} ended; the logs in {folder} say why")
    except KeyboardInterrupt:
        sys.stdout.write(f"all have ended; their files stay in {folder}\n")
        return 0
    except (LensscanError, OSError) as error:
        sys.stderr.write(f"lensscan: {error}\n")
        return 2


def _print(services: Services) -> None:
    sys.stdout.writelines(f"{name:<16} {address}\n" for name, address in services.addresses.items())
    sys.stdout.write(f"In another shell: {services.shell_line}\nCtrl-C here ends all of them\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
