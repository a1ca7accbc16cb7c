"""Damaged files of a plan are moved out of every reader's sight, so that the next scan makes them anew."""

from dataclasses import dataclass

from infra.errors import LensscanError
from infra.provenance import sha256_bytes
from infra.store.removal import remove
from infra.store.storage import CreateOutcome, create_if_absent, exists, info, read_bytes
from scanner.catalogue.audit.quarantine import DAMAGED, SUPERSEDED, quarantine_uri
from scanner.catalogue.audit.verify import Fault, Part, Progress, Verification, verify_plan
from scanner.catalogue.seal import seal_uri

_ORDER = (Part.SEAL, Part.CANDIDATES, Part.UNIT, Part.STRAY, Part.PLAN)
"""First what refers to others: a sealed plan never lacks a file, wherever a repair is cut short."""


class RepairError(LensscanError):
    """A file that changed while it was repaired, or whose copy is not there; nothing more was removed."""


@dataclass(frozen=True)
class Repaired:
    """A file that is in quarantine now, or would be."""

    uri: str
    quarantine_uri: str
    why: str


def repair_plan(plan_id: str, root_uri: str, *, dry_run: bool = False, progress: Progress | None = None) -> list[Repaired]:
    """Verify a plan deeply, then put in quarantine what is damaged, and the seal and candidates that refer to it.

    A file is copied, the copy read back, and only then the file removed. What is intact stays as it is. Cut short anywhere,
    the same call again goes on. A unit in quarantine is pending. The seal of a damaged plan stays: the plan is named by its
    content, so that it comes back as it was or not at all.

    Raises:
        RepairError: a file changed meanwhile; run it again, and not beside a scan of the same plan.
        StorageError: the store failed; run it again.
    """
    found = verify_plan(plan_id, root_uri, deep=True, progress=progress)
    damaged = {fault.uri: fault for fault in reversed(found.faults)}
    referring = [fault for fault in _referring(found, root_uri) if fault.uri not in damaged]
    steps = [(fault, DAMAGED) for fault in damaged.values()] + [(fault, SUPERSEDED) for fault in referring]
    steps = sorted(steps, key=lambda step: (_ORDER.index(step[0].part), step[0].uri))
    copies = {fault: quarantine_uri(root_uri, fault.uri, fault.sha256, kind) for fault, kind in steps if fault.sha256}
    if not dry_run:
        # All copies before any removal: when the seal is gone, which may alone tell a damage, the copy tells it.
        for fault, copy_uri in copies.items():
            _copy(fault, copy_uri)
        for fault in copies:
            _remove(fault, seal_uri(root_uri, plan_id))
    return [Repaired(fault.uri, copy_uri, fault.why) for fault, copy_uri in copies.items()]


def _referring(found: Verification, root_uri: str) -> list[Fault]:
    """The seal and the candidates, where they are and refer to a file that is missing or will be."""
    parts = {fault.part for fault in found.faults}
    uris = {}
    if parts & {Part.CANDIDATES, Part.UNIT}:
        uris[seal_uri(root_uri, found.plan_id)] = Part.SEAL
    if Part.UNIT in parts and found.candidates_uri:
        uris[found.candidates_uri] = Part.CANDIDATES
    why = "refers to a damaged or missing file"
    return [Fault(part, uri, why, sha256_bytes(read_bytes(uri))) for uri, part in uris.items() if exists(uri)]


def _copy(fault: Fault, copy_uri: str) -> None:
    if (data := _unchanged(fault)) is not None:
        outcome = create_if_absent(copy_uri, data, fault.sha256 or "")
        copied = outcome is not CreateOutcome.EXISTS and read_bytes(copy_uri) == data
        _check(copied, f"{copy_uri}: is not a copy of {fault.uri}, which was left alone")


def _remove(fault: Fault, seal: str) -> None:
    try:
        file = info(fault.uri)
    except FileNotFoundError:
        return
    if _unchanged(fault) is None:
        return
    if fault.part in {Part.UNIT, Part.CANDIDATES}:
        _check(not exists(seal), f"{fault.uri}: the plan was sealed while it was repaired; run repair again")
    remove(file)


def _unchanged(fault: Fault) -> bytes | None:
    """The content that was found at fault; None where somebody removed it since."""
    try:
        data = read_bytes(fault.uri)
    except FileNotFoundError:
        return None
    _check(sha256_bytes(data) == fault.sha256, f"{fault.uri}: changed while it was repaired; run repair again")
    return data


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise RepairError(message)
