"""`lensscan scan`: scan tiles or shards into a catalogue."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from typing import TYPE_CHECKING

from infra.engine_name import EngineName
from infra.progress import NamingProgress
from infra.settings import Settings
from scanner.workers.local import early_worker

if TYPE_CHECKING:
    from scanner.catalogue.selection import Selection
    from scanner.workers.run import NightSummary


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
    selection: "Callable[[], Selection] | None" = None,
    progress: NamingProgress,
) -> "NightSummary":
    """Scan with the meaning of the flow's parameters: settings stand in for those that are None.

    `survey` is the name or the file of a survey. `selection` makes the selection of tiles once the first worker has started.

    Raises:
        LensscanError: a parameter is invalid, no input is found, or a unit cannot be scanned.
    """
    settings = Settings.read()
    workers, ray_address = workers or settings.workers, ray_address or settings.ray_address
    with nullcontext() if ray_address else early_worker(workers) as early:
        # Imported here: the worker imports its libraries meanwhile.
        from flows.ensembles import chosen_package
        from scanner.catalogue.selection import EVERYTHING
        from scanner.scan.request import ScanRequest
        from scanner.sources.survey import find_survey
        from scanner.workers.run import scan_night

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
        return scan_night(request, root_uri, workers=workers, ray_address=ray_address, progress=progress, early=early)
