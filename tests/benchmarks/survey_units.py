"""Plan, commit, seal and check a survey of 56 000 tiles on a local S3 server: time, memory and requests of each step.

`python -m tests.benchmarks.survey_units [--tiles 56000] [--rounds 2] [--out FOLDER]` runs each step in a process of its own, so
that its peak memory is its own. The server is SeaweedFS on this machine, and shares its cores. Tiles have four mosaics of a few
bytes, which no step reads, and a FITS catalogue of one source. Scanning so many tiles would take hours, so unit files are
encoded by the catalogue's own writer, with the rows of a template, and uploaded.
"""

import argparse
import http.client
import io
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from astropy.io import fits

from infra.store import s3_client
from infra.store.storage import exists
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.status import plan_status
from scanner.catalogue.ledger import pending
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import Plan, find_plans, freeze, load_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.unitfile import encode_unit, make_footer
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest, plan_scan
from scanner.workers.run import scan_night
from tests.benchmarks.rates import peak_bytes
from tests.faults.harness.seaweed import ACCESS_KEY, SECRET_KEY, seaweed_server
from tests.scanner.catalogue_parts import scores
from tests.servers import free_port, plain_s3, wait_for

BUCKET, NIGHT = "survey", date(2026, 11, 24)
TILES, ROOT = f"s3://{BUCKET}/tiles", f"s3://{BUCKET}/catalogue"
MOST_BYTES = 2e9
"""Most memory that a step may take."""
BARS = {
    "plan": 600.0,
    "pending": 60.0,
    "pending (complete)": 60.0,
    "seal": 600.0,
    "status": 60.0,
    "rerun": 120.0,
    "reconcile": 1200.0,
    "plan (again)": 600.0,
}
"""Most seconds that a step may take: those of a reader who waits, or, for a seal and a reconciliation, of a night's end."""
STEPS = ("plan", "pending", "write", "pending (complete)", "seal", "status", "rerun", "reconcile", "plan (again)")
BEFORE = """A plan reads the listed version of each catalogue, in one request for each tile. When it asked for size and
version once more, it took 657 s (340 s of the processor, 112 283 requests); before it followed from the listing, 2000 tiles
took 16 011 requests, so that 56 000 would have taken 19 minutes, and a rerun as long, because it planned again. A seal
joins the small tables of the units; when it kept each, it took 2643 MB. A reconciliation reads the catalogue and the unit
file of a tile in one request each; it took five, and 63 s for 2000 tiles (37 s of the processor).

On the same machine at a load of 13 to 23 a plan took 560 s, a seal 844 s (then with two readings of each unit file), a
reconciliation 841 s, the status 15 s, and a rerun 79 s.
"""
_ONCE = {"plan", "seal", "reconcile", "plan (again)"}
N_WRITERS = 2
_ID = 1_000_000_007


def request() -> ScanRequest:
    """Return the request of the scan that all steps belong to."""
    return ScanRequest(input_uri=TILES, night=NIGHT, package=SHIPPED_DIR / "mer3-sim", maps_per_unit=0)


def only_plan() -> Plan:
    """Return the plan of the catalogue."""
    (plan_id,) = find_plans(ROOT)
    return load_plan(ROOT, plan_id)


def do_plan() -> None:
    """Plan the scan and store the plan."""
    freeze(plan_scan(request(), ROOT), ROOT)


def do_replan() -> None:
    """Plan the scan once more, without the record of the first plan."""
    freeze(plan_scan(request()), ROOT)
    only_plan()


def do_pending() -> None:
    """List what is left to do."""
    pending(only_plan(), ROOT)


def do_seal() -> None:
    """Read every unit, and write the seal and the night's file."""
    plan = only_plan()
    seal(plan, ROOT)
    show(plan, ROOT)


def do_status() -> None:
    """Do what `lensscan status` does."""
    for plan_id in find_plans(ROOT):
        plan_status(plan_id, ROOT)


def do_rerun() -> None:
    """Scan the complete night again."""
    summary = scan_night(request(), ROOT)
    assert set(summary.units_by_outcome) == {"already_committed"}, summary


def do_reconcile() -> None:
    """Compare each row of the input with the catalogue."""
    assert reconcile(only_plan(), ROOT).is_equal


def catalogue_of(number: int) -> bytes:
    """Return the catalogue of a tile with one source, whose id no other tile has."""
    names = (("OBJECT_ID", "K", _ID + number), ("RIGHT_ASCENSION", "D", 10.0), ("DECLINATION", "D", -45.0))
    columns = [fits.Column(name, kind, array=[value]) for name, kind, value in names]
    sink = io.BytesIO()
    fits.BinTableHDU.from_columns(columns).writeto(sink)
    return sink.getvalue()


def upload_tiles(first: int, last: int, port: int) -> None:
    """Upload the files of some tiles; a catalogue is the template with another id in its place."""
    template = catalogue_of(0)
    at = template.index(_ID.to_bytes(8, "big"))
    with Filer(port) as filer:
        for number in range(first, last):
            name = f"TILE{number:09d}-ABC123_20260101T000000.000000Z_00.00.fits"
            for band in ("VIS", "NIR-Y", "NIR-J", "NIR-H"):
                filer.put(f"tiles/EUC_MER_BGSUB-MOSAIC-{band}_{name}", b"mosaic")
            own = template[:at] + (_ID + number).to_bytes(8, "big") + template[at + 8 :]
            filer.put(f"tiles/EUC_MER_FINAL-CAT_{name}", own)


def upload_units(part: int, port: int) -> None:
    """Encode and upload a share of the unit files."""
    plan, (template,) = only_plan(), scores([0], [0.75]).to_pylist()
    schema = scores([0], [0.75]).schema
    with Filer(port) as filer:
        for unit in plan.units[part::N_WRITERS]:
            number = int(unit.unit_id)
            own = {"object_id": _ID + number, "tile": unit.unit_id, "p_lens": number % 997 / 997}
            row = template | own | {"night": str(NIGHT)}
            table = pa.Table.from_pylist([row], schema=schema)
            data = encode_unit(table, make_footer(table, unit, plan, "benchmark"))
            filer.put(unit_uri(ROOT, plan.plan_id, unit.unit_id).removeprefix(f"s3://{BUCKET}/"), data)


class Filer:
    """A connection to the server's filer, which takes objects faster than its S3 gate does."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def put(self, key: str, data: bytes) -> None:
        """Upload an object."""
        self._connection.request("PUT", f"/buckets/{BUCKET}/{key}", body=data)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status in {200, 201}, (answer.status, text)


def measured(step: str) -> dict[str, float]:
    """Run a step in a process of its own."""
    done = subprocess.run([sys.executable, "-m", __spec__.name, "--step", step], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run_step(step: str) -> None:
    """Run one step and print its figures."""
    n_requests = 0

    def count(**_about: object) -> None:
        nonlocal n_requests
        n_requests += 1

    make = s3_client.count_tries

    def counted(client: object) -> None:
        make(client)
        client.meta.events.register("before-send.s3", count)

    s3_client.count_tries = counted
    steps = {"plan (again)": do_replan, "pending (complete)": do_pending}
    begun = time.perf_counter()
    steps.get(step, globals().get(f"do_{step}"))()
    seconds = time.perf_counter() - begun
    processor_s = resource.getrusage(resource.RUSAGE_SELF)
    print(  # noqa: T201 - the parent reads it
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "processor_s": round(processor_s.ru_utime + processor_s.ru_stime, 1),
                "peak_mb": round(peak_bytes() / 1e6),
                "requests": n_requests,
                "load": round(os.getloadavg()[0], 1),
            }
        )
    )


def in_processes(function: object, jobs: list[tuple[int, ...]]) -> float:
    """Run a function for each tuple of arguments, in `N_WRITERS` processes; return the seconds."""
    begun = time.perf_counter()
    with ProcessPoolExecutor(N_WRITERS) as pool:
        for job in [pool.submit(function, *arguments) for arguments in jobs]:
            job.result()
    return round(time.perf_counter() - begun, 1)


def measure(n_tiles: int, rounds: int, steps: tuple[str, ...]) -> dict[str, object]:
    """Run the server and all steps; a step that reads only is measured `rounds` times."""
    port = free_port()
    found: dict[str, object] = {"n_tiles": n_tiles, "cores": os.cpu_count(), "steps": {}}
    with tempfile.TemporaryDirectory() as folder, seaweed_server(Path(folder), filer_port=port, n_volumes=60) as url:
        os.environ |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        wait_for("the filer", bucket_made)
        bounds = np.linspace(1, n_tiles + 1, 2 * N_WRITERS + 1).astype(int)
        jobs = [(int(first), int(last), port) for first, last in itertools.pairwise(bounds)]
        found["upload_tiles_s"] = in_processes(upload_tiles, jobs)
        told(found)
        for step in steps:
            if step == "write":
                found["write_units_s"] = in_processes(upload_units, [(part, port) for part in range(N_WRITERS)])
            else:
                n = 1 if step in _ONCE else rounds
                found["steps"][step] = [measured(step) for _ in range(n)]
            told(found)
    return found


def bucket_made() -> bool:
    """Make the bucket; False while the server is not ready."""
    try:
        plain_s3().create_bucket(Bucket=BUCKET)
        return exists(f"s3://{BUCKET}") or True
    except Exception:  # noqa: BLE001 - the filer may start after S3
        return False


def told(found: dict[str, object]) -> None:
    """Show what is measured so far."""
    sys.stderr.write(json.dumps(found) + "\n")


def report(found: dict[str, object]) -> str:
    """Return the table of the figures."""
    lines = [
        "# A survey of 56 000 units",
        "",
        f"`python -m tests.benchmarks.survey_units`: {found['n_tiles']} tiles with one source each on SeaweedFS, which runs",
        f"on the same {found['cores']} cores, shared with other programs meanwhile. Unit files were encoded by the catalogue's",
        "own writer and uploaded, not scanned. Two numbers are two measurements. The load average is that of the minute before",
        "the end of a step, which itself adds two with the server.",
        "",
        "| step | seconds | processor seconds | peak memory, MB | requests | load average | bar |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for step, runs in found["steps"].items():
        names = ("seconds", "processor_s", "peak_mb", "requests", "load")
        cells = (" / ".join(f"{run[name]:g}" for run in runs) for name in names)
        is_kept = all(run["seconds"] <= BARS[step] and run["peak_mb"] * 1e6 <= MOST_BYTES for run in runs)
        bar = f"{BARS[step]:g} s, {MOST_BYTES / 1e6:g} MB: {'kept' if is_kept else 'missed'}"
        lines.append(f"| {step} | {' | '.join(cells)} | {bar} |")
    return "\n".join([*lines, "", BEFORE])


def main() -> None:
    """Measure, or run one step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tiles", type=int, default=56_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--step")
    options = parser.parse_args()
    if options.step:
        run_step(options.step)
        return
    found = measure(options.tiles, options.rounds, tuple(options.steps.split(",")))
    (options.out / "survey_units.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (options.out / "SURVEY_UNITS.md").write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    main()
