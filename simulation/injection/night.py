"""Inject lenses into the galaxies of a night, to measure its completeness, and store them beside the night."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from numpy.random import default_rng

from infra.engine_name import EngineName
from infra.local_pool import LocalPool
from infra.progress import Progress, no_progress, part_of
from infra.provenance import code_version
from scanner.catalogue.gate import held
from scanner.catalogue.injected import (
    Injected,
    InjectedError,
    InjectionArguments,
    InjectionFacts,
    injected_table,
    read_injected,
    shown_state,
    write_injected,
)
from scanner.catalogue.plan import Plan, load_plan
from scanner.catalogue.shown import ShownPlan, shown_plans, shown_with
from scanner.catalogue.unitfile import unit_files
from scanner.catalogue.visible import rows_of
from scanner.networks.card_file import read_card
from scanner.sources.survey import EUCLID_MER
from scanner.vocabulary.geometry import GEOMETRIES, MER_PIXEL_ARCSEC
from simulation.injection.arcs import InjectionError
from simulation.injection.census import LIKELY_P_LENS, Census, UnitResult, UnitTask
from simulation.injection.cutouts import file_digest
from simulation.injection.realism import realism
from simulation.run import results
from simulation.simulator import ONE_THREAD

N, SEED, MOST_UNITS = 1000, 1, 5
"""Defaults: number of lenses, their seed, and the largest number of tiles that are read again."""


@dataclass(frozen=True)
class NightInjection:
    """A night, and what to inject into it."""

    root_uri: str
    label: str
    """Label of the night, `undated` for scans without one."""
    n: int = N
    seed: int = SEED
    most_units: int = MOST_UNITS
    psf_uri: str | None = None
    engine: EngineName = "auto"
    plan_id: str | None = None
    """Sealed plan that waits for its promotion, to be measured as if readers saw it; None for what they see."""


def inject_into_night(
    wanted: NightInjection,
    package_of: Callable[[str], Path],
    workers: int = 1,
    progress: Progress = no_progress,
) -> tuple[Injected, bool]:
    """Inject lenses into galaxies of a night, score them, and store them; return them, and whether they were made now.

    The result depends on the night and on what is asked alone, not on the number of workers. If the night has it already,
    nothing is done.

    Args:
        wanted: The night, and what to inject.
        package_of: Returns the folder of the ensemble of a name.
        workers: Number of processes; each takes a tile at a time.
        progress: Called with the number of lenses.

    Raises:
        InjectionError: nothing can be injected into this night; the message gives the reason.
        LensscanError: the catalogue, the images or the ensemble cannot be read.
    """
    shown = _shown(wanted)
    if not shown:
        raise InjectionError(f"{wanted.root_uri}: no complete scan of night {wanted.label}")
    plans = _plans(wanted.root_uri, shown)
    newest = next(iter(plans.values()))
    package = _checked_package(newest, package_of)
    arguments = _arguments(wanted, shown, newest)
    with suppress(InjectedError):
        known = read_injected(wanted.root_uri, wanted.label)
        if known is not None and known.arguments == arguments:
            return known, False
    units = _units(wanted.root_uri, [plan for plan in shown if plan.plan_id in plans], plans)
    tasks = _tasks(wanted, units)
    census = (wanted.root_uri, plans, package, wanted.engine, arguments.threshold, wanted.seed, wanted.psf_uri)
    done = _run(census, tasks, workers, progress)
    if not any(result.rows for result in done):
        raise InjectionError(f"no lens could be injected into night {wanted.label}: {_why_none(done)}")
    injected = _injected(arguments, done, len(units), _real(wanted.root_uri, shown, plans))
    write_injected(injected, wanted.root_uri)
    return injected, True


def _shown(wanted: NightInjection) -> list[ShownPlan]:
    """Return the plans of the night that readers see, or will see once `plan_id` is promoted."""
    waiting = held(load_plan(wanted.root_uri, wanted.plan_id), wanted.root_uri) if wanted.plan_id else None
    if waiting is None:
        return shown_plans(wanted.root_uri, wanted.label).get(wanted.label, [])
    return shown_with(wanted.root_uri, wanted.label, waiting)


def _plans(root_uri: str, shown: Sequence[ShownPlan]) -> dict[str, Plan]:
    """Return the newest plan of a night, and the others of the same ensemble and threshold, by id, newest first."""
    plans = {one.plan_id: load_plan(root_uri, one.plan_id) for one in shown}
    newest, threshold = plans[shown[0].plan_id], shown[0].threshold
    if any(plan.described != EUCLID_MER for plan in plans.values()):
        raise InjectionError(f"arcs are simulated for images of Euclid, not of {newest.described.name}")
    return {
        one.plan_id: plans[one.plan_id]
        for one in shown
        if (plans[one.plan_id].ensemble_sha256, one.threshold) == (newest.ensemble_sha256, threshold)
    }


def _checked_package(plan: Plan, package_of: Callable[[str], Path]) -> Path:
    package = package_of(plan.ensemble_name)
    card = read_card(package)
    if card.sha256 != plan.ensemble_sha256:
        raise InjectionError(
            f"the night was scored by ensemble {plan.ensemble_name} {plan.ensemble_sha256[:12]}, {package} holds "
            f"{card.sha256[:12]}"
        )
    geometry = GEOMETRIES[card.geometry]
    if any(grid.pixel_scale_arcsec != MER_PIXEL_ARCSEC for grid in geometry.grids.values()):
        raise InjectionError(f"arcs are painted into pixels of {MER_PIXEL_ARCSEC} arcsec, not into those of {geometry.name}")
    return package.absolute()


def _arguments(wanted: NightInjection, shown: Sequence[ShownPlan], newest: Plan) -> InjectionArguments:
    return InjectionArguments(
        night=newest.night,
        shown=shown_state(shown),
        ensemble_name=newest.ensemble_name,
        ensemble_sha256=newest.ensemble_sha256,
        threshold=shown[0].threshold,
        n=wanted.n,
        seed=wanted.seed,
        most_units=wanted.most_units,
        psf_sha256=file_digest(wanted.psf_uri),
        code_version=code_version(),
    )


def _units(root_uri: str, shown: Sequence[ShownPlan], plans: Mapping[str, Plan]) -> list[tuple[str, str]]:
    """Return plan and name of each unit that readers see and whose plan scores some row."""
    found = []
    for one in shown:
        committed = unit_files(root_uri, one.plan_id)
        found += [
            (one.plan_id, unit.unit_id)
            for unit in plans[one.plan_id].units
            if unit.n_selected and unit.unit_id in committed and (one.units is None or unit.unit_id in one.units)
        ]
    return found


def _tasks(wanted: NightInjection, units: Sequence[tuple[str, str]]) -> list[UnitTask]:
    """Share the lenses among units that the seed chooses."""
    order = default_rng(wanted.seed).permutation(len(units))[: min(wanted.most_units, wanted.n)]
    share, rest = divmod(wanted.n, max(len(order), 1))
    numbers = [share + (number < rest) for number in range(len(order))]
    return [UnitTask(plan_id=units[i][0], unit_id=units[i][1], n=n) for i, n in zip(order.tolist(), numbers, strict=True)]


def _run(census: tuple[object, ...], tasks: Sequence[UnitTask], workers: int, progress: Progress) -> list[UnitResult]:
    """Return the result of each task, in their order."""
    total = sum(task.n for task in tasks)
    progress(0, total)
    found: dict[UnitTask, UnitResult] = {}
    n_done = 0
    if workers > 1 and len(tasks) > 1:
        arguments = (*census, 1)
        n_workers = min(workers, len(tasks))
        with closing(LocalPool("simulation.injection.census:Census", arguments, n_workers, 1, ONE_THREAD)) as pool:
            for task, result in results(pool, "unit", tasks):
                found[task] = result
                n_done += task.n
                progress(n_done, total)
    elif tasks:
        here = Census(*census)  # type: ignore[arg-type]
        for task in tasks:
            found[task] = here.unit(task, part_of(progress, n_done, total))
            n_done += task.n
            progress(n_done, total)
    return [found[task] for task in tasks]


def _real(root_uri: str, shown: Sequence[ShownPlan], plans: Mapping[str, Plan]) -> list[dict[str, float | None]]:
    """Return the numbers of the likely real candidates that readers see."""
    rows = rows_of(root_uri, [one for one in shown if one.plan_id in plans], LIKELY_P_LENS).to_pylist()
    return [{name: value for name, value in row.items() if isinstance(value, float | None)} for row in rows]


def _injected(
    arguments: InjectionArguments, done: Sequence[UnitResult], n_units: int, real: Sequence[Mapping[str, float | None]]
) -> Injected:
    rows = [row | {"is_recovered": row["p_lens"] >= arguments.threshold} for result in done for row in result.rows]
    measured = [numbers for result in done for numbers in result.measured]
    facts = InjectionFacts(
        units=tuple(result.task.unit_id for result in done if result.rows),
        n_units=n_units,
        n_hosts=sum(result.n_hosts for result in done),
        n_failed=arguments.n - len(rows),
        hosts="; ".join(sorted({result.hosts for result in done if result.hosts})),
        psf="the file that was given" if arguments.psf_sha256 else "the model of Euclid's PSFs, turned at random",
        realism=realism(measured, real),
        n_real=len(real),
        unlike_share=sum(result.n_unlike for result in done) / max(sum(result.n_drawn for result in done), 1),
    )
    return Injected(injected_table(rows), arguments, facts)


def _why_none(done: Sequence[UnitResult]) -> str:
    reasons = [result.failure for result in done if result.failure]
    n_hosts = sum(result.n_hosts for result in done)
    return reasons[0] if reasons else f"{n_hosts} galaxies of {len(done)} units look like lens galaxies, and none fits a lens"
