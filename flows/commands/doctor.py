"""`lensscan doctor`: check whether a scan would start on this machine, and say how to mend what would stop it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from flows.commands.doctor_machine import MACHINE_CHECKS
from flows.commands.doctor_services import prefect_server, ray_cluster
from flows.commands.doctor_store import catalogue_store, tiles_store
from flows.commands.findings import Finding, State, failed
from infra.errors import LensscanError
from infra.settings import Settings

Check = Callable[[], Iterator[Finding]]


def examine(catalogue: str | None = None, tiles: str | None = None) -> list[Finding]:
    """Return the findings of all checks, in order; no check changes anything but scratch files that it removes.

    Args:
        catalogue: Folder or `s3://` prefix of the catalogue; its store is checked if one is given.
        tiles: Folder or `s3://` prefix of the tiles; likewise.
    """
    try:
        settings = Settings.read()
    except LensscanError as error:
        return [failed("settings", str(error), "correct lensscan.toml or the variable LENSSCAN_… that it names")]
    checks: list[tuple[str, Check]] = [(name, partial(check, settings, catalogue)) for name, check in MACHINE_CHECKS]
    if catalogue is not None:
        checks.append(("catalogue", partial(catalogue_store, catalogue)))
    if tiles is not None:
        checks.append(("tiles", partial(tiles_store, tiles)))
    checks += [("Ray", partial(ray_cluster, settings)), ("Prefect", prefect_server)]
    return [finding for name, check in checks for finding in _findings(name, check)]


def would_start(findings: Sequence[Finding]) -> bool:
    """Return whether a scan would start: no check failed."""
    return all(finding.state is not State.FAILED for finding in findings)


def _findings(name: str, check: Check) -> Iterator[Finding]:
    """Yield the findings of a check; an error that it does not expect is one too."""
    try:
        yield from check()
    except (LensscanError, OSError) as error:
        yield failed(name, str(error), "see the message")
