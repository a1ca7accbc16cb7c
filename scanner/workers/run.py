"""Scan one night from a folder of tiles to a sealed candidate catalogue; the flow and the command line call it."""

import time
from collections import Counter

from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from infra.ray.cluster import ray_session
from infra.store.storage import absolute, probe
from scanner.catalogue.ledger import pending
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import freeze
from scanner.catalogue.seal import seal
from scanner.catalogue.shown import Replaced, ShownPlan, replaced_by, with_lower_threshold
from scanner.catalogue.visible import rows_of
from scanner.networks.engines import resolve_engine
from scanner.networks.package import check_weights, read_card
from scanner.scan.request import ScanRequest, plan_scan, shown_threshold
from scanner.workers.actors import Packages
from scanner.workers.dispatch import ScanRun, scan_plan


class NightSummary(Frozen):
    """Result of a scan and location of its catalogue."""

    night: str | None
    plan_id: str
    ensemble: str
    n_units: int
    units_by_outcome: dict[str, int]
    """Number of units by outcome; units committed before this run count as `already_committed`."""
    n_rows: int
    rows_by_status: dict[str, int]
    threshold: float
    """Smallest `p_lens` of the candidates that are shown."""
    n_candidates: int
    """Number of these candidates in the scanned units."""
    replaces: tuple[Replaced, ...]
    """Older plans whose rows in these units readers no longer see."""
    n_workers_lost: int
    """Number of workers that died or were killed, and were replaced."""
    candidates_uri: str
    """File with all candidates that the night shows."""
    seconds: float


def scan_night(
    request: ScanRequest,
    root_uri: str,
    *,
    workers: int = 1,
    ray_address: str | None = None,
    progress: Progress | None = None,
) -> NightSummary:
    """Scan the tiles or shards of a request into the catalogue at `root_uri`.

    Storage alone decides what is done: committed units are not scanned again, so the same call after a crash goes on where
    the last one stopped, and a second call changes nothing.

    Args:
        request: What to scan, and how.
        root_uri: Folder or `s3://` prefix of the catalogue.
        workers: Number of scan actors.
        ray_address: Ray cluster to use; None starts a local one.
        progress: Called with the number of rows done and the number of all rows.

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
    plan = with_lower_threshold(plan_scan(request), root_uri)
    freeze(plan, root_uri)
    run = ScanRun([], 0)
    if todo := pending(plan, root_uri):
        with ray_session(ray_address):
            run = scan_plan(plan, todo, packages, root_uri, workers, progress or no_progress)
    report = seal(plan, root_uri)
    threshold = max(shown_threshold(request), plan.config.candidate_threshold)
    replaces = replaced_by(plan, root_uri)
    candidates_uri = show(plan, root_uri, threshold)
    outcomes = Counter(str(receipt.outcome) for receipt in run.receipts)
    outcomes["already_committed"] += len(plan.units) - len(run.receipts)
    return NightSummary(
        night=plan.night,
        plan_id=plan.plan_id,
        ensemble=plan.ensemble_name,
        n_units=len(plan.units),
        units_by_outcome={name: n for name, n in sorted(outcomes.items()) if n},
        n_rows=report.n_rows,
        rows_by_status=report.rows_by_status,
        threshold=threshold,
        n_candidates=rows_of(root_uri, [ShownPlan(plan.plan_id, threshold)]).num_rows,
        replaces=replaces,
        n_workers_lost=run.n_workers_lost,
        candidates_uri=candidates_uri,
        seconds=round(time.monotonic() - start, 1),
    )


def _check_packages(packages: Packages) -> None:
    """Find damaged weights before Ray starts; the workers check them again, and the networks too."""
    for folder in filter(None, (packages.first, packages.second)):
        check_weights(folder, read_card(folder))
