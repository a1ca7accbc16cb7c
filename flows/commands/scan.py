"""`lensscan scan`: scan tiles or shards into a catalogue."""

import sys
from collections.abc import Callable
from datetime import date

from flows.commands.publish import publication, publish_after
from flows.commands.scan_options import ScanOptions, ScanOrder
from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.local_pool import WorkerProcess
from infra.progress import NamingProgress
from infra.settings import Settings
from infra.store.files import PlaceError
from infra.store.storage import check_apart
from scanner.catalogue.paths import night_label
from scanner.catalogue.selection import Selection
from scanner.networks.card_file import read_card
from scanner.scan.request import ScanRequest
from scanner.sources.survey import find_survey
from scanner.workers.run import NightSummary, Recovered, scan_night


def run_scan(order: ScanOrder, progress: NamingProgress) -> NightSummary:
    """Scan as asked for; raises as `scan_tiles`."""
    return scan_tiles(order.tiles_uri, order.root_uri, order.night, order.options, progress=progress)


def scan_tiles(
    input_uri: str,
    root_uri: str,
    night: date | None,
    options: ScanOptions,
    *,
    progress: NamingProgress,
    selection: Callable[[], Selection] | None = None,
    early: WorkerProcess | None = None,
) -> NightSummary:
    """Scan a night, then publish the catalogue and measure the night's completeness if the options say so.

    Settings stand in for options that are None. A scan with a gate is kept from readers until it is promoted, and only then
    published. `selection` makes the selection of tiles in place of the options, and `early` is a worker of `early_worker`, for
    a scan without Ray.

    Raises:
        CompletenessCommandError: the scan is complete, and its completeness cannot be measured; or that of no such scan can be.
        PublishError: the scan is complete, and its catalogue cannot be published; or `publish_to` is no place for it.
        LensscanError: an option is invalid, no input is found, or a unit cannot be scanned.
    """
    settings = Settings.read()
    check_apart(root_uri, input_uri, "the input", PlaceError)
    publish = publication(root_uri, options.publish_to, ray_address=options.ray_address) if options.publish_to else None
    request = _request(input_uri, night, options, (selection or options.selection)(), options.engine or settings.engine)
    if options.completeness is not None:
        _check_measurable(request)
    ray_address = options.ray_address or settings.ray_address
    summary = scan_night(
        request,
        root_uri,
        workers=options.workers or settings.asked_workers,
        ray_address=ray_address,
        gate=options.gate,
        progress=progress,
        early=early,
        metrics_dir=settings.metrics_dir,
        run_id=_flow_run_id(),
    )
    # A night that waits for its gate is published by its promotion.
    if publish and not summary.awaits_gate:
        # Before the measurement, which the collection does not hold, and which may find no galaxy to inject lenses into.
        measure = _completeness_command(root_uri, night_label(summary.night), options.completeness)
        then = f", and {measure}, which has not begun" if options.completeness else ""
        summary = summary.model_copy(update={"published": publish_after("this scan is complete", publish, then)})
    if options.completeness is None:
        return summary
    # Lenses are injected in processes of this machine, also after a scan on a cluster.
    workers = options.workers or settings.workers
    return _with_completeness(summary, root_uri, options.completeness, workers, request, progress)


def _check_measurable(request: ScanRequest) -> None:
    """Check, before the scan, that lenses can be injected into such tiles."""
    from flows.commands.completeness import check_measurable

    check_measurable(request.survey, read_card(request.package).geometry)


def _request(input_uri: str, night: date | None, options: ScanOptions, selection: Selection, engine: EngineName) -> ScanRequest:
    return ScanRequest(
        input_uri=input_uri,
        selection=selection,
        survey=find_survey(options.survey),
        night=night,
        package=chosen_package(options.ensemble),
        candidate_threshold=options.candidate_threshold,
        engine=engine,
        exact=options.exact,
        maps_per_unit=options.maps_per_unit,
    )


def _flow_run_id() -> str | None:
    """Return the id of the Prefect run that this is, so that the logs of both have one id; None without Prefect."""
    if "prefect" not in sys.modules:
        return None
    from prefect.runtime import flow_run

    return flow_run.id


def _with_completeness(
    summary: NightSummary, root_uri: str, n: int, workers: int, request: ScanRequest, progress: NamingProgress
) -> NightSummary:
    # Imported here, because few scans inject lenses.
    from flows.commands.completeness import CompletenessCommandError, measure_completeness

    label = night_label(summary.night)
    try:
        plan_id = summary.plan_id if summary.awaits_gate else None
        injected, _ = measure_completeness(
            root_uri,
            label,
            n=n,
            workers=workers,
            engine=request.engine,
            plan_id=plan_id,
            package=request.package,
            progress=progress,
        )
    except LensscanError as error:
        done = f"complete, and published as {summary.published}" if summary.published else "complete"
        again = "the same command again" if summary.awaits_gate else _completeness_command(root_uri, label, n)
        raise CompletenessCommandError(
            f"this scan is {done}, but its completeness is not measured: {error}. Once that is mended, run {again}"
        ) from error
    sample = injected.sample()
    found = Recovered(n_injected=len(sample.kind), n_recovered=int(sample.is_recovered.sum()))
    return summary.model_copy(update={"completeness": found})


def _completeness_command(root_uri: str, label: str, n: int | None) -> str:
    return f"`lensscan completeness {root_uri} --night {label} --n {n}`"
