"""`make demo-nightly`: three nights by a Prefect worker, one of them killed, on servers that run on this machine meanwhile.

An S3 store holds tiles and catalogue, a Prefect server the deployments of `prefect.yaml`, and a Ray head runs scans as jobs.
The worker of the second night is killed while its job scans; a backfill then does what is left.
"""

import argparse
import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.counted_night import Counted, counted
from flows.deployed_runs import DeployedRuns
from flows.terminal import print_lines, print_table, print_text, terminal_progress
from infra.deploy.local_prefect import WORK_POOL
from infra.deploy.local_process import clean_environment, ended_by_signals, kill_tree, program
from infra.deploy.local_s3 import clients_of
from infra.deploy.local_services import BUCKET, ROOT, Services, local_services
from infra.errors import LensscanError
from infra.settings import Settings
from infra.store.storage import join
from simulation.products.survey_tile import TileSpec
from simulation.run import simulate_night

TILES = f"s3://{BUCKET}/tiles"
NIGHTS = {
    f"2026-11-2{day}": tuple(
        TileSpec(tile_id=f"10000{day}00{i}", n_galaxies=18, n_single=3, n_compound=3, side_pixels=1000, seed=10 * day + i)
        for i in (1, 2)
    )
    for day in (4, 5, 6)
}
SCAN = {"workers": 1, "maps_per_unit": 6}
"""Options of the scans; another worker would take as long to start as it saves."""
PATIENCE_S = 600.0
"""Longest time of a run on a busy machine."""
COLUMNS = ("night", "rows", "candidates", "sealed", "promoted", "each source once")


@dataclass(frozen=True)
class Nights:
    """The nights that were done, and the servers, which still run."""

    services: Services
    catalogue: str
    counted: dict[str, Counted]
    runs: dict[str, str]
    """Address of the page of each flow run by what it did."""


@contextlib.contextmanager
def three_nights(folder: Path) -> Iterator[Nights]:
    """Bring the servers up with their files in `folder`, do the nights, and yield them; the servers end with the `with` block.

    Raises:
        LensscanError: a server does not start, or a run does not end as it should.
    """
    # A new catalogue for each demo: the nights of the last one are done.
    catalogue = f"s3://{BUCKET}/demo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with local_services(folder) as services, clients_of(services.variables):
        print_lines(services.addresses)
        _simulate()
        print_text("deploying infra/deploy/prefect.yaml")
        _deploy({**services.variables, "LENSSCAN_CATALOGUE": catalogue})
        runs = DeployedRuns(services.prefect_url, services.variables["PREFECT_API_AUTH_STRING"])
        done = _run_nights(runs, services, folder.absolute() / "worker.log")
        yield Nights(services, catalogue, {night: counted(TILES, catalogue, night) for night in NIGHTS}, done)


def _simulate() -> None:
    workers = Settings.read().workers
    for night, specs in NIGHTS.items():
        with terminal_progress(f"simulating {night}") as report:
            simulate_night(specs, join(TILES, night), workers, report)
    n_sources = sum(spec.n_galaxies + spec.n_single + spec.n_compound for specs in NIGHTS.values() for spec in specs)
    print_text(f"{len(NIGHTS)} nights with {n_sources} sources below {TILES}")


def _deploy(variables: Mapping[str, str]) -> None:
    file = str(ROOT / "infra" / "deploy" / "prefect.yaml")
    wanted = [part for name in ("nightly", "backfill") for part in ("--name", name)]
    command = [program("prefect", "prefect"), "--no-prompt", "deploy", "--prefect-file", file, *wanted]
    done = subprocess.run(  # noqa: S603 - the program of a dependency
        command, cwd=ROOT, env=clean_environment(variables), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LensscanError(f"the deployments are refused: {' '.join((done.stdout + done.stderr).split())[-300:]}")


def _run_nights(runs: DeployedRuns, services: Services, log: Path) -> dict[str, str]:
    """Do the first and the third night, kill the second, backfill, and return the pages of the runs."""
    first, second, third = NIGHTS
    asked = {"scan": SCAN, "submit_to": services.jobs_url}
    with _worker(services, log):
        done = _nightly(runs, first, asked)
        killed = runs.start("nightly/nightly", {"night": second, **asked})
        runs.wait_for_log(killed, "submitted Ray job", PATIENCE_S)
    print_text(f"night {second}: worker and flow killed while the Ray job scans; Prefect says {runs.state(killed)['name']}")
    with _worker(services, log):
        last = _nightly(runs, third, asked)
        backfill = runs.start("backfill/backfill", {"since": first, "until": third, **asked})
        runs.wait(backfill, PATIENCE_S)
        print_text(f"backfill from {first} to {third}: done")
    pages = {f"nightly {first}": done, f"nightly {second}, killed": killed, f"nightly {third}": last, "backfill": backfill}
    return {what: runs.page(run) for what, run in pages.items()}


def _nightly(runs: DeployedRuns, night: str, asked: dict[str, Any]) -> str:
    run = runs.start("nightly/nightly", {"night": night, **asked})
    runs.wait(run, PATIENCE_S)
    print_text(f"night {night}: scanned, judged and promoted")
    return run


@contextlib.contextmanager
def _worker(services: Services, log: Path) -> Iterator[None]:
    """Run a Prefect worker, and kill it with the flows that it has started when the `with` block ends."""
    command = [program("prefect", "prefect"), "worker", "start", "--pool", WORK_POOL, "--limit", "1"]
    environment = clean_environment(services.variables)
    with log.open("a", encoding="utf-8") as output:
        worker = subprocess.Popen(  # noqa: S603 - the program of a dependency
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield
        finally:
            kill_tree(worker.pid)
            worker.wait()


def rows_of(nights: Nights) -> list[dict[str, Any]]:
    """Return a row for each night, with the names of `COLUMNS`."""
    words = {True: "yes", False: "NO"}
    return [
        {
            "night": night,
            "rows": found.rows,
            "candidates": found.candidates,
            "sealed": words[found.sealed],
            "promoted": words[found.promoted],
            "each source once": words[found.each_source_once],
        }
        for night, found in nights.counted.items()
    ]


def show(nights: Nights) -> bool:
    """Print the nights and the pages of the runs; return whether every night is complete, shown, and holds each source once."""
    print_table("Three nights", COLUMNS, rows_of(nights))
    print_lines({"catalogue": nights.catalogue, **nights.runs})
    return all(found.sealed and found.promoted and found.each_source_once for found in nights.counted.values())


def main() -> int:
    """Run the demo in the folder of `--out`; the exit code is 1 if a night is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("demo-output/nightly"), help="folder of the servers' files")
    parser.add_argument("--keep", action="store_true", help="keep the servers until Ctrl-C, to look at the pages")
    arguments = parser.parse_args()
    began = time.monotonic()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Each step shows at once, also in a file or a pipe.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        with ended_by_signals(), three_nights(arguments.out) as nights:
            is_good = show(nights)
            print_text(f"{time.monotonic() - began:.0f} s")
            if arguments.keep:
                print_text(f"Log in first, at {nights.services.prefect_url}/login, with what this prints in another shell:")
                print_text(f"{nights.services.shell_line}; echo $PREFECT_API_AUTH_STRING")
                print_text("Ctrl-C here ends the servers")
                # Ctrl-C is the end that the reader was told of; before it, a signal cuts the demo short.
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
    except KeyboardInterrupt:
        return 130
    except (LensscanError, OSError) as error:
        sys.stderr.write(f"lensscan: {error}\n")
        return 2
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
