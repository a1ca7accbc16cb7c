"""`lensscan scan`: scan tiles or shards into a catalogue."""

import sys
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.local_pool import WorkerProcess
from infra.progress import NamingProgress
from infra.settings import Settings
from scanner.catalogue.paths import night_label
from scanner.catalogue.selection import EVERYTHING, Selection
from scanner.scan.request import ScanRequest
from scanner.sources.survey import find_survey
from scanner.workers.run import NightSummary, Recovered, scan_night

if TYPE_CHECKING:
    from scanner.catalogue.known_lenses import KnownLenses


def scan_tiles(
    input_uri: str,
    root_uri: str,
    night: date | None,
    *,
    ensemble: str | None,
    candidate_threshold: float | None,
    workers: int | None,
    engine: EngineName | None,
    exact: bool,
    maps_per_unit: int,
    ray_address: str | None,
    survey: str | None = None,
    selection: Callable[[], Selection] | None = None,
    publish_to: str | None = None,
    completeness: int | None = None,
    gate: bool = False,
    progress: NamingProgress,
    early: WorkerProcess | None = None,
) -> NightSummary:
    """Scan with the meaning of the flow's parameters: settings stand in for those that are None.

    `survey` is the name or the file of a survey, and `selection` makes the selection of tiles. After the scan, the catalogue is
    published in the collection `publish_to`, if one is given, and `completeness` lenses are injected into the night to measure
    how many of them it finds. With `gate`, the scan is kept from readers until it is promoted, and only then published.
    `early` is a worker of `early_worker`, for a scan without Ray.

    Raises:
        CompletenessCommandError: the scan is complete, and its completeness cannot be measured.
        PublishError: the scan is complete, and its catalogue cannot be published; or `publish_to` is no place for it.
        LensscanError: a parameter is invalid, no input is found, or a unit cannot be scanned.
    """
    settings = Settings.read()
    known = None
    if publish_to is not None:
        # Imported here, because few scans publish.
        from flows.commands.publish import chosen_known
        from scanner.hats.publish import checked_roots

        checked_roots(root_uri, publish_to)
        known = chosen_known()
    request = ScanRequest(
        input_uri=input_uri,
        selection=selection() if selection else EVERYTHING,
        survey=find_survey(survey),
        night=night,
        package=chosen_package(ensemble),
        candidate_threshold=candidate_threshold,
        engine=engine or settings.engine,
        exact=exact,
        maps_per_unit=maps_per_unit,
    )
    workers, ray_address = workers or settings.workers, ray_address or settings.ray_address
    summary = scan_night(
        request,
        root_uri,
        workers=workers,
        ray_address=ray_address,
        gate=gate,
        progress=progress,
        early=early,
        metrics_dir=settings.metrics_dir,
        run_id=_flow_run_id(),
    )
    if completeness is not None:
        summary = _with_completeness(summary, root_uri, completeness, workers, request.engine, progress)
    # A night that waits for its gate is published by its promotion.
    return (
        summary if publish_to is None or summary.awaits_gate else _published(summary, root_uri, publish_to, known, ray_address)
    )


def _flow_run_id() -> str | None:
    """Return the id of the Prefect run that this is, so that the logs of both have one id; None without Prefect."""
    if "prefect" not in sys.modules:
        return None
    from prefect.runtime import flow_run

    return flow_run.id


def _with_completeness(
    summary: NightSummary, root_uri: str, n: int, workers: int, engine: EngineName, progress: NamingProgress
) -> NightSummary:
    # Imported here, because few scans inject lenses.
    from flows.commands.completeness import CompletenessCommandError, measure_completeness

    label = night_label(summary.night)
    try:
        plan_id = summary.plan_id if summary.awaits_gate else None
        injected, _ = measure_completeness(
            root_uri, label, n=n, workers=workers, engine=engine, plan_id=plan_id, progress=progress
        )
    except LensscanError as error:
        raise CompletenessCommandError(
            f"this scan is complete, but its completeness is not measured: {error}. Once that is mended, run "
            f"{'the same command again' if summary.awaits_gate else f'`lensscan completeness {root_uri} --n {n}`'}"
        ) from error
    sample = injected.sample()
    found = Recovered(n_injected=len(sample.kind), n_recovered=int(sample.is_recovered.sum()))
    return summary.model_copy(update={"completeness": found})


def _published(
    summary: NightSummary, root_uri: str, collection: str, known: "KnownLenses | None", ray_address: str | None
) -> NightSummary:
    from scanner.hats.errors import PublishError
    from scanner.hats.publish import publish

    try:
        done = publish(root_uri, collection, known=known, ray_address=ray_address)
        return summary.model_copy(update={"published": done.version})
    except LensscanError as error:
        raise PublishError(
            f"this scan is complete, but the catalogue is not published: {error}. Once that is mended, run "
            f"`lensscan publish {root_uri} {collection}`"
        ) from error
