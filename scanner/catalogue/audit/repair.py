"""Move damaged files of plans and journals to quarantine, where no reader sees them; the next scan writes them again."""

from dataclasses import dataclass

from infra.errors import LensscanError
from infra.progress import Progress
from infra.provenance import sha256_bytes
from infra.store.removal import remove
from infra.store.storage import CreateOutcome, create_if_absent, exists, info, read_bytes
from scanner.catalogue.audit.no_files import move, no_file_quarantine, no_files
from scanner.catalogue.audit.quarantine import DAMAGED, SUPERSEDED
from scanner.catalogue.audit.verify import Fault, Part, Verification, verify_journal, verify_plan
from scanner.catalogue.paths import quarantine_uri, seal_uri

_ORDER = (Part.SEAL, Part.CANDIDATES, Part.UNIT, Part.STRAY, Part.PLAN)
"""Order of removal, referring files first: wherever a repair is interrupted, a sealed plan never lacks a file."""


class RepairError(LensscanError):
    """A file changed during the repair, or its copy is missing; nothing more was removed."""


@dataclass(frozen=True)
class Repaired:
    """A file that was moved to quarantine, or would be without `dry_run`."""

    uri: str
    quarantine_uri: str
    why: str


def repair_plan(plan_id: str, root_uri: str, *, dry_run: bool = False, progress: Progress | None = None) -> list[Repaired]:
    """Verify a plan deeply, then move to quarantine the damaged files, and the seal and candidates that refer to them.

    The repair copies a file, reads the copy back, and only then removes the file. Intact files stay as they are. After an
    interruption the same call goes on. A unit in quarantine is pending. The seal of a damaged plan stays: a plan's name is
    the digest of its content, so only an identical plan can replace it. What has a unit's name and is no file is renamed first;
    a `dry_run` names that alone, because the rest cannot be verified before.

    Raises:
        RepairError: a file changed meanwhile; run the repair again, and not during a scan of the same plan.
        StorageError: the store failed; run the repair again.
    """
    # A rename keeps whatever they lead to or hold.
    moved = [Repaired(uri, no_file_quarantine(root_uri, uri), why) for uri, why in no_files(root_uri, plan_id).items()]
    if dry_run and moved:
        return moved
    for entry in moved:
        move(entry.uri, entry.quarantine_uri)
    found = verify_plan(plan_id, root_uri, deep=True, progress=progress)
    damaged = {fault.uri: fault for fault in reversed(found.faults)}
    referring = [fault for fault in _referring(found, root_uri) if fault.uri not in damaged]
    steps = [(fault, DAMAGED) for fault in damaged.values()] + [(fault, SUPERSEDED) for fault in referring]
    steps = sorted(steps, key=lambda step: (_ORDER.index(step[0].part), step[0].uri))
    copies = {fault: quarantine_uri(root_uri, fault.uri, fault.sha256, kind) for fault, kind in steps if fault.sha256}
    if not dry_run:
        # All copies come first: the seal may be the only evidence of a damage, and once it is removed the copy shows it.
        for fault, copy_uri in copies.items():
            _copy(fault, copy_uri)
        for fault in copies:
            _remove(fault, seal_uri(root_uri, plan_id))
    return moved + [Repaired(fault.uri, copy_uri, fault.why) for fault, copy_uri in copies.items()]


def repair_journal(root_uri: str, label: str = "", *, dry_run: bool = False) -> list[Repaired]:
    """Move the damaged entries of all nights' journals to quarantine, or those of one night; as `repair_plan`, also in errors.

    What an entry recorded is lost: until the next scan of its night, readers may see an older plan, or one that was held.
    """
    copies = {
        fault: quarantine_uri(root_uri, fault.uri, fault.sha256 or "", DAMAGED) for fault in verify_journal(root_uri, label)
    }
    for fault, copy_uri in ({} if dry_run else copies).items():
        _copy(fault, copy_uri)
        _remove(fault, "")
    return [Repaired(fault.uri, copy_uri, fault.why) for fault, copy_uri in copies.items()]


def _referring(found: Verification, root_uri: str) -> list[Fault]:
    """Return the seal and the candidates, if they exist and refer to a file that is missing or will be removed."""
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
        _check(copied, f"{copy_uri}: is not a copy of {fault.uri}, which was not removed")


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
    """Return the content that was found damaged; None if the file was removed since."""
    try:
        data = read_bytes(fault.uri)
    except FileNotFoundError:
        return None
    _check(sha256_bytes(data) == fault.sha256, f"{fault.uri}: changed while it was repaired; run repair again")
    return data


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise RepairError(message)
