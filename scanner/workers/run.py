"""Scan one night from a folder of tiles to a sealed candidate catalogue; the flow and the command line call it."""

import logging
import time
from collections import Counter
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.calls import Pool
from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.json_logs import set_run
from infra.local_pool import WorkerProcess
from infra.progress import NamingProgress, no_progress
from infra.store.files import StoreRefusedError
from infra.store.retries import take_retries
from infra.store.storage import exists
from scanner.catalogue.gate import is_behind, is_waiting
from scanner.catalogue.journal import JournalError, entries, first_numbers
from scanner.catalogue.ledger import pending
from scanner.catalogue.night_file import show, write_night
from scanner.catalogue.paths import night_label, night_uri, seal_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.seal import Seal, SealError, SealReport, seal
from scanner.catalogue.shown import Replaced, ShownPlan, replaced_by
from scanner.catalogue.source_choice import SourceSelection, UnmatchedTargets
from scanner.catalogue.units import LeftOut, PlanError, Unit
from scanner.catalogue.visible import VisibleError, rows_of
from scanner.scan.request import ScanRequest
from scanner.workers.dispatch import ScanRun, scan_plan
from scanner.workers.planned_night import PlannedNight, plan_night
from scanner.workers.pools import scan_pool
from scanner.workers.recording import Recording, new_run_id

_LOG = logging.getLogger(__name__)


class NightError(LensscanError):
    """A scan is complete, and another file keeps its night from being shown."""


class Recovered(Frozen):
    """Simulated lenses that were injected into a night after its scan, and how many of them it finds."""

    n_injected: int
    n_recovered: int


class NightSummary(Frozen):
    """Result of a scan and location of its catalogue."""

    night: str | None
    plan_id: str
    ensemble: str
    unit_kind: Literal["tile", "shard"]
    survey: str | None
    """Name of the survey that the tiles are of; None for shards."""
    bands: dict[str, str]
    """Band of the survey by each band of the networks that was read from tiles."""
    n_units: int
    tiles_left_out: tuple[LeftOut, ...]
    """Tiles of the input that could not be scanned, with the reasons."""
    sources: SourceSelection | None
    """Selection of the tiles' sources; None if all were scored."""
    targets_unmatched: UnmatchedTargets | None
    """Targets without a source; None if there are no targets."""
    tiles_rejected: tuple[str, ...]
    """Tiles of which no object could be scored, in this run or before: a mosaic is missing or damaged."""
    units_by_outcome: dict[str, int]
    """Number of units by outcome; units committed before this run count as `already_committed`."""
    n_rows: int
    rows_by_status: dict[str, int]
    threshold: float
    """Smallest `p_lens` of the candidates that are shown."""
    prevalence: float | None
    """Fraction of lenses that `p_lens` assumes; None if the ensemble is not calibrated."""
    n_candidates: int
    """Number of these candidates in the scanned units."""
    replaces: tuple[Replaced, ...]
    """Older plans whose rows in these units readers no longer see."""
    n_workers_lost: int
    """Number of workers that died or were killed, and were replaced."""
    unfinished: tuple[str, ...] = ()
    """Older plans of the night that hold some of these units and have no seal: after a change of the input, for example."""
    candidates_uri: str
    """File with all candidates that the night shows; of a night that awaits its gate, the file of this scan's candidates."""
    awaits_gate: bool = False
    """Whether readers do not see this scan before it is promoted."""
    completeness: Recovered | None = None
    """Lenses that were injected after the scan; None if none were."""
    published: str | None = None
    """Version of the collection in which the catalogue was published after the scan; None if it was not."""
    seconds: float


def scan_night(
    request: ScanRequest,
    root_uri: str,
    *,
    workers: int | None = 1,
    ray_address: str | None = None,
    gate: bool = False,
    progress: NamingProgress | None = None,
    early: WorkerProcess | None = None,
    run_id: str | None = None,
    metrics_dir: Path | None = None,
) -> NightSummary:
    """Scan the tiles or shards of a request into the catalogue at `root_uri`.

    Storage alone decides what is done: committed units are not scanned again, so the same call after a crash goes on where
    the last one stopped, and a second call changes nothing.

    Args:
        request: What to scan, and how.
        root_uri: Folder or `s3://` prefix of the catalogue.
        workers: Number of scan workers; None for as many as the cluster, or without one this machine, has cores.
        ray_address: Ray cluster to use; `local` starts a private one on this machine; None does so for many rows only.
        gate: Seal the scan and keep it from readers until it is promoted. A scan that was held once stays so without `gate`. A
            scan that readers saw, and another since, is not shown to them again with `gate`.
        progress: Called with the number of rows done, the number of all rows, and the ids of the units at work.
        early: A worker of `scanner.workers.local.early_worker`, which a scan without Ray then uses.
        run_id: Id of the run in its record; a new one by default.
        metrics_dir: Folder of the file with the run's metrics, `metrics.prom`; None for no file.

    Raises:
        NightError: the scan is complete, but a record or a file of another plan of the night is damaged.
        LensscanError: no input is found, the store has no conditional writes, or a package does not match its card.
    """
    start = time.monotonic()
    # What this process sent again before belongs to other work.
    take_retries()
    night = plan_night(request, root_uri, ray_address, gate=gate)
    plan, root_uri = night.plan, night.root_uri
    todo, run_id = pending(plan, root_uri), run_id or new_run_id()
    set_run(run_id, plan.night)
    recording = Recording(plan, root_uri, todo, workers or 0, run_id, metrics_dir)
    pool = scan_pool(plan, todo, night.package, root_uri, workers, ray_address, early, recording.tally, run_id)
    with recording.recorded():
        run = _scan(plan, todo, pool, recording, progress or no_progress)
        end = _seal_and_show(night, gate=gate)
    return _summary(night, run, end, start)


def _scan(
    plan: Plan, todo: list[Unit], pool: AbstractContextManager[Pool], recording: Recording, progress: NamingProgress
) -> ScanRun:
    """Scan the pending units; `pool` is opened only if there are some."""
    kind = plan.units[0].kind
    _LOG.info("plan %s of %d %ss, %d of them to scan", plan.plan_id[:12], len(plan.units), kind, len(todo))
    if not todo:
        return ScanRun([], 0)
    with pool as workers:
        recording.begin()
        return scan_plan(plan, todo, workers, recording.progress(progress), tally=recording.tally)


@dataclass(frozen=True)
class _End:
    """A sealed night, and what readers see of it."""

    sealed: SealReport
    awaits_gate: bool
    replaces: tuple[Replaced, ...]
    """Plans that readers see less of."""
    candidates_uri: str


def _seal_and_show(night: PlannedNight, *, gate: bool) -> _End:
    """Seal a plan of which each unit is committed, and show it to readers unless it waits for its promotion.

    With a gate, a plan that another has followed is not shown again: readers keep what the gate has let through since.
    """
    try:
        return _sealed_and_shown(night, gate=gate)
    except StoreRefusedError as error:
        n, kind = len(night.plan.units), night.plan.units[0].kind
        raise StoreRefusedError(f"{error}. All {n} {kind}s are safe; {error.remedy} and run the same command again") from error


def _sealed_and_shown(night: PlannedNight, *, gate: bool) -> _End:
    plan, root_uri = night.plan, night.root_uri
    sealed = seal(plan, root_uri)
    if is_waiting(plan, root_uri):
        return _End(sealed, awaits_gate=True, replaces=(), candidates_uri=sealed.candidates_uri)
    try:
        if gate and is_behind(plan, root_uri):
            label = night_label(plan.night)
            write_night(root_uri, label)
            return _End(sealed, awaits_gate=False, replaces=(), candidates_uri=night_uri(root_uri, label))
        replaces = replaced_by(plan, root_uri)
        candidates_uri = show(plan, root_uri)
    except (JournalError, SealError, VisibleError, PlanError) as error:
        raise NightError(
            f"this scan is complete, as plan {plan.plan_id[:12]}, but the file of its night cannot be written because of "
            f"another file: {error}. Once that is mended (lensscan verify {root_uri}), run the same command again"
        ) from error
    return _End(sealed, awaits_gate=False, replaces=replaces, candidates_uri=candidates_uri)


def _summary(night: PlannedNight, run: ScanRun, end: _End, start: float) -> NightSummary:
    plan = night.plan
    return NightSummary(
        night=plan.night,
        plan_id=plan.plan_id,
        ensemble=plan.ensemble_name,
        unit_kind=plan.units[0].kind,
        survey=plan.survey_name,
        bands=plan.bands,
        n_units=len(plan.units),
        tiles_left_out=plan.left_out,
        sources=plan.sources,
        targets_unmatched=plan.unmatched,
        tiles_rejected=_rejected(plan, end.sealed),
        units_by_outcome=_outcomes(plan, run),
        n_rows=end.sealed.n_rows,
        rows_by_status=end.sealed.rows_by_status,
        threshold=night.threshold,
        prevalence=night.card.assumed_prevalence,
        n_candidates=rows_of(night.root_uri, [ShownPlan(plan.plan_id, night.threshold)]).num_rows,
        replaces=end.replaces,
        unfinished=_unfinished(plan, night.root_uri),
        n_workers_lost=run.n_workers_lost,
        candidates_uri=end.candidates_uri,
        awaits_gate=end.awaits_gate,
        seconds=round(time.monotonic() - start, 1),
    )


def _unfinished(plan: Plan, root_uri: str) -> tuple[str, ...]:
    """Return the ids of the plans without a seal that hold a unit of `plan` and were begun before it, in the same night."""
    label, own, found = night_label(plan.night), {unit.unit_id for unit in plan.units}, []
    numbers = first_numbers(entries(root_uri, label).get(label, []))
    for name, number in numbers.items():
        if number < numbers.get(plan.plan_id, 0) and not exists(seal_uri(root_uri, name)):
            # A damaged plan, or one that is being forgotten, is the matter of `verify`.
            with suppress(PlanError):
                found += [name] if any(unit.unit_id in own for unit in load_plan(root_uri, name).units) else []
    return tuple(found)


def _rejected(plan: Plan, sealed: Seal) -> tuple[str, ...]:
    """Return the tiles of which no object could be scored."""
    return sealed.units_unscored if plan.units[0].kind == "tile" else ()


def _outcomes(plan: Plan, run: ScanRun) -> dict[str, int]:
    """Return the number of units by outcome, of outcomes that units have."""
    outcomes = Counter(str(receipt.outcome) for receipt in run.receipts)
    outcomes["already_committed"] += len(plan.units) - len(run.receipts)
    return {name: n for name, n in sorted(outcomes.items()) if n}
