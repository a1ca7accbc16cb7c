"""Scan one night from a folder of tiles to a sealed candidate catalogue; the flow and the command line call it."""

import time
from collections import Counter
from typing import Literal

from infra.frozen import Frozen
from infra.progress import NamingProgress, no_progress
from infra.ray.cluster import ray_session
from infra.store.storage import absolute, probe
from scanner.catalogue.ledger import pending
from scanner.catalogue.plan import freeze
from scanner.catalogue.seal import seal
from scanner.networks.engines import resolve_engine
from scanner.networks.package import check_weights, read_card
from scanner.scan.request import ScanRequest, plan_scan
from scanner.workers.actors import Packages
from scanner.workers.dispatch import ScanRun, scan_plan


class NightSummary(Frozen):
    """Result of a scan and location of its catalogue."""

    night: str
    plan_id: str
    ensemble: str
    unit_kind: Literal["tile", "shard"]
    n_units: int
    tiles_without_mosaics: tuple[str, ...]
    """Tiles that have a catalogue and no mosaic, which were left out."""
    units_by_outcome: dict[str, int]
    """Number of units by outcome; units committed before this run count as `already_committed`."""
    n_rows: int
    rows_by_status: dict[str, int]
    n_candidates: int
    n_workers_lost: int
    """Number of workers that died or were killed, and were replaced."""
    candidates_uri: str
    seconds: float


def scan_night(
    request: ScanRequest,
    root_uri: str,
    *,
    workers: int = 1,
    ray_address: str | None = None,
    progress: NamingProgress | None = None,
) -> NightSummary:
    """Scan the tiles or shards of a request into the catalogue at `root_uri`.

    Storage alone decides what is done: committed units are not scanned again, so the same call after a crash goes on where
    the last one stopped, and a second call changes nothing.

    Args:
        request: What to scan, and how.
        root_uri: Folder or `s3://` prefix of the catalogue.
        workers: Number of scan actors.
        ray_address: Ray cluster to use; None starts a local one.
        progress: Called with the number of rows done, the number of all rows, and the ids of the units at work.

    Raises:
        LensscanError: no input is found, the store has no conditional writes, or a package does not match its card.
    """
    start = time.monotonic()
    root_uri = absolute(root_uri)
    probe(root_uri)
    packages = Packages(request.package.absolute(), request.second and request.second.absolute())
    _check_packages(packages)
    if ray_address is None:
        resolve_engine(request.engine)
    plan = plan_scan(request)
    freeze(plan, root_uri)
    run = ScanRun([], 0)
    if todo := pending(plan, root_uri):
        with ray_session(ray_address):
            run = scan_plan(plan, todo, packages, root_uri, workers, progress or no_progress)
    report = seal(plan, root_uri)
    outcomes = Counter(str(receipt.outcome) for receipt in run.receipts)
    outcomes["already_committed"] += len(plan.units) - len(run.receipts)
    return NightSummary(
        night=plan.night,
        plan_id=plan.plan_id,
        ensemble=plan.ensemble_name,
        unit_kind=plan.units[0].kind,
        n_units=len(plan.units),
        tiles_without_mosaics=plan.without_mosaics,
        units_by_outcome={name: n for name, n in sorted(outcomes.items()) if n},
        n_rows=report.n_rows,
        rows_by_status=report.rows_by_status,
        n_candidates=report.n_candidates,
        n_workers_lost=run.n_workers_lost,
        candidates_uri=report.candidates_uri,
        seconds=round(time.monotonic() - start, 1),
    )


def _check_packages(packages: Packages) -> None:
    """Find damaged weights before Ray starts; the workers check them again, and the networks too."""
    for folder in filter(None, (packages.first, packages.second)):
        check_weights(folder, read_card(folder))
