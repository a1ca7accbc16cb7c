"""A scan as a Ray job: the program that the job runs, and the caller that submits it and waits for its result.

The job prints progress and result in lines of its log, because a driver of Ray returns nothing. The line of the result says of
an error whether it is one of the infrastructure, so that the caller knows whether another try can help.
"""

import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from flows.commands.scan import run_scan
from flows.commands.scan_options import ScanOrder
from infra.errors import ClusterError, LensscanError
from infra.frozen import Frozen
from infra.infrastructure_errors import is_infrastructure
from infra.progress import NamingProgress, Progress
from infra.provenance import digest
from infra.settings import Settings
from infra.store.storage import absolute
from infra.telemetry import opt_out
from scanner.networks.errors import PackageError
from scanner.networks.locate import find_package
from scanner.sources.survey import SURVEY_SUFFIX
from scanner.workers.run import NightSummary

_MARK = "LENSSCAN-RESULT "
"""Beginning of the line with the result."""
_PROGRESS = re.compile(r"LENSSCAN-PROGRESS (\d+)/(\d+)")
"""A line with the numbers of rows done and of all rows."""


class ScanJobError(LensscanError):
    """A job has ended without a result, or with an error that another try does not mend."""


class JobResult(Frozen):
    """The result of a job: a summary, or an error."""

    summary: NightSummary | None = None
    error: str = ""
    is_infrastructure: bool = False

    @classmethod
    def in_log(cls, log: str) -> Self | None:
        """Return the result that a job has printed, or None.

        Raises:
            ScanJobError: the job runs another version of lensscan.
        """
        lines = [line for line in log.splitlines() if line.startswith(_MARK)]
        try:
            return cls.model_validate_json(lines[-1].removeprefix(_MARK)) if lines else None
        except ValidationError as error:
            raise ScanJobError(
                "the job's result is none of this version of lensscan: is another one on the cluster?"
            ) from error


def base_id(order: ScanOrder) -> str:
    """Return the id of the work: equal for equal orders, whoever gives them and whenever."""
    return f"lensscan-scan-{order.label}-{digest(_ready(order).model_dump(mode='json'))[:12]}"


def print_progress() -> NamingProgress:
    """Return a callback that prints a line when the work has advanced by a percent: callers read the whole log many times."""
    printed = -1

    def report(done: int, total: int, _at_work: Sequence[str] = (), /) -> None:
        nonlocal printed
        percent = 100 * done // total if total else 100
        # Below what was printed, another part of the work begins, such as the injection of lenses.
        if percent != printed:
            printed = percent
            sys.stdout.write(f"LENSSCAN-PROGRESS {done}/{total}\n")
            sys.stdout.flush()

    return report


def read_line(line: str, on_line: Callable[[str], None], progress: Progress) -> None:
    """Pass a line of a job's log on, progress to `progress` and words to `on_line`; the line of the result is left out."""
    if found := _PROGRESS.fullmatch(line):
        progress(int(found[1]), int(found[2]))
    elif not line.startswith(_MARK):
        on_line(line)


def scan_by_job(address: str, order: ScanOrder, on_line: Callable[[str], None], progress: Progress) -> NightSummary:
    """Scan in a Ray job: attach to the one that does so already, else submit one; pass its log on and return its result.

    Args:
        address: Job server, `http://HOST:8265`.
        order: The scan; its places must be in reach of the cluster.
        on_line: Called with each line of the job's log but those of progress and result.
        progress: Called with the rows that the job has done; after an attachment it begins with those of before.

    Raises:
        ClusterError: the job server is out of reach, or the job was stopped or killed.
        ScanJobError: the scan failed for a reason that another try does not mend.
    """
    # Imported here, because Ray takes half a second and only this way needs it.
    from infra.ray.jobs import JobServer

    server, ready = JobServer(address), _ready(order)
    entrypoint = shlex.join(["python", "-m", "flows.commands.scan_job", ready.model_dump_json(exclude_defaults=True)])
    job, is_new = server.attach_or_submit(base_id(order), entrypoint, {"night": order.label, "catalogue": ready.root_uri})
    on_line(f"{'submitted' if is_new else 'attached to'} Ray job {job} at {server.address}")
    end = server.follow(job, lambda line: read_line(line, on_line, progress))
    found = JobResult.in_log(end.log)
    if found is None:
        # The job was stopped, or its node died: no word of the scan itself.
        raise ClusterError(f"Ray job {job} has ended without a result: {end.status}: {' '.join(end.message.split())[:200]}")
    if found.summary is not None:
        return found.summary
    if found.is_infrastructure:
        raise ClusterError(found.error)
    raise ScanJobError(found.error)


def stop_scan_job(address: str, order: ScanOrder) -> list[str]:
    """Stop the job that does this work, and return the ids of the stopped ones.

    Raises:
        ClusterError: the job server is out of reach, or a job does not end.
    """
    from infra.ray.jobs import JobServer

    return JobServer(address).stop(base_id(order))


def _ready(order: ScanOrder) -> ScanOrder:
    """Return the order with its places made absolute: the job has another working directory."""
    options = order.options
    given = {name: getattr(options, name) for name in ("catalogues_uri", "publish_to", "moc_uri", "targets_uri")}
    places = {name: absolute(uri) for name, uri in given.items() if uri}
    if options.survey and options.survey.endswith(SURVEY_SUFFIX):
        places["survey"] = absolute(options.survey)
    if options.ensemble:
        places["ensemble"] = _absolute_ensemble(options.ensemble)
    return order.model_copy(
        update={
            "input_uri": absolute(order.tiles_uri),
            "root_uri": absolute(order.root_uri),
            "options": options.model_copy(update=places),
        }
    )


def _absolute_ensemble(ensemble: str) -> str:
    """Return the absolute folder of an ensemble given by its folder; a name stays, which the cluster may know."""
    try:
        found = find_package(ensemble, Settings.read().ensembles_dir)
    except PackageError:
        return ensemble
    return str(found.absolute()) if found == Path(ensemble) else ensemble


def _order(order_json: str) -> ScanOrder:
    try:
        return ScanOrder.model_validate_json(order_json)
    except ValidationError as error:
        raise ScanJobError(
            f"the job's order is none of this version of lensscan: is another one on the cluster? {error}"
        ) from error


def main(order_json: str) -> int:
    """Scan as the order says, print the result in one line, and return the exit code."""
    opt_out()
    try:
        result, code = JobResult(summary=run_scan(_order(order_json), print_progress())), 0
    except (LensscanError, OSError) as error:
        result, code = JobResult(error=" ".join(str(error).split()), is_infrastructure=is_infrastructure(error)), 2
    except Exception as error:  # noqa: BLE001 - the caller must know that another try does not help
        traceback.print_exc()
        said = f"the job's log has the traceback of {error!r}"
        result, code = JobResult(error=said, is_infrastructure=is_infrastructure(error)), 1
    sys.stdout.write(f"{_MARK}{result.model_dump_json()}\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
