"""Scan one night from a folder of tiles to a sealed candidate catalogue; the flow and the command line both call this."""

import time
from collections import Counter
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from infra.engine_name import EngineName
from infra.progress import Progress
from infra.ray.cluster import ray_session
from infra.store.storage import absolute, probe
from scanner.catalogue.ledger import pending
from scanner.catalogue.plan import PlanError, ScanConfig, SecondOpinion, build_plan, freeze
from scanner.catalogue.seal import seal
from scanner.networks.engines import resolve_engine
from scanner.networks.package import load_package, read_card
from scanner.vocabulary.choices import MAPS_PER_UNIT
from scanner.workers.actors import Packages
from scanner.workers.dispatch import ScanRun, scan_plan


class NightSummary(BaseModel):
    """Result of a scan and location of its catalogue."""

    model_config = ConfigDict(frozen=True)

    night: str
    plan_id: str
    ensemble: str
    n_units: int
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
    input_uri: str,
    root_uri: str,
    night: date,
    package: Path,
    *,
    candidate_threshold: float | None = None,
    engine: EngineName = "auto",
    exact: bool = False,
    second: Path | None = None,
    second_above: float | None = None,
    maps_per_unit: int = MAPS_PER_UNIT,
    workers: int = 1,
    ray_address: str | None = None,
    progress: Progress | None = None,
) -> NightSummary:
    """Scan the tiles or shards under `input_uri` into the catalogue at `root_uri`.

    Storage alone decides what is done: committed units are not scanned again, so the same call after a crash goes on where
    the last one stopped, and a second call changes nothing.

    Rows with `p_lens` at or above `candidate_threshold`, by default that of the ensemble, are candidates. With `exact`, every
    row is scored in float32; without it, candidates and their stored values are the same. The package `second` scores rows
    with `p_lens` at or above `second_above`, by default candidates. The best `maps_per_unit` candidates of each unit are
    stored with maps that explain their scores.

    Raises:
        LensscanError: no input is found, the store has no conditional writes, or a package does not match.
    """
    start = time.monotonic()
    input_uri, root_uri, package = absolute(input_uri), absolute(root_uri), package.absolute()
    probe(root_uri)
    ensemble = load_package(package)
    threshold = ensemble.card.candidate_threshold if candidate_threshold is None else candidate_threshold
    config = ScanConfig(
        candidate_threshold=threshold,
        engine=engine,
        sweep=not exact,
        second=_opinion(second, second_above, threshold),
        maps_per_unit=maps_per_unit,
    )
    if ray_address is None:
        resolve_engine(engine)
    plan = build_plan(input_uri, night.isoformat(), ensemble, config)
    freeze(plan, root_uri)
    run = ScanRun([], 0)
    if pending(plan, root_uri):
        with ray_session(ray_address):
            run = scan_plan(plan, Packages(package, second and second.absolute()), root_uri, workers, progress)
    report = seal(plan, root_uri)
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
        n_candidates=report.n_candidates,
        n_workers_lost=run.n_workers_lost,
        candidates_uri=report.candidates_uri,
        seconds=round(time.monotonic() - start, 1),
    )


def _opinion(package: Path | None, above: float | None, threshold: float) -> SecondOpinion | None:
    if package is None:
        if above is not None:
            raise PlanError(f"second_above={above:g} selects rows for a second ensemble, but no second ensemble is given")
        return None
    if above is not None and above > threshold:
        raise PlanError(f"second_above must be <= the candidates' threshold {threshold:g}, got {above:g}")
    card = read_card(package)
    return SecondOpinion(ensemble_name=card.name, ensemble_sha256=card.sha256, above=threshold if above is None else above)
