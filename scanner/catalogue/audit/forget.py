"""Remove a plan that no reader shows, with all files that it wrote."""

from collections.abc import Iterator
from contextlib import suppress

import pyarrow.compute as pc

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.store.removal import remove
from infra.store.storage import FileInfo, exists, info, join, list_files
from scanner.catalogue.paths import QUARANTINE, plan_uri, seal_uri, sealed_path, units_uri
from scanner.catalogue.seal import load_seal
from scanner.catalogue.shown import ShownPlan, show_records, shown_plans
from scanner.catalogue.visible import object_ids


class ForgetError(LensscanError):
    """The plan must not be removed; nothing was removed."""


class Forgotten(Frozen):
    """A plan that was removed."""

    plan_id: str
    n_files: int
    n_bytes: int


def forget_plan(plan_id: str, root_uri: str, *, unfinished: bool = False) -> Forgotten:
    """Remove the seal, the candidate file, the units and the plan itself, in this order, so that the same call can go on.

    The night's records that name the plan stay; readers ignore them, because the plan has no seal.

    Args:
        plan_id: Id of the plan.
        root_uri: The catalogue's root.
        unfinished: Remove a plan without a seal, too. Its scan must not be running.

    Raises:
        ForgetError: readers show the plan, or it has no seal and `unfinished` is not set.
        StorageError: the store failed; forget the plan again.
    """
    shown = next((plan for plans in shown_plans(root_uri).values() for plan in plans if plan.plan_id == plan_id), None)
    name = plan_id[:12]
    if shown is not None and _has_rows(shown, root_uri):
        raise ForgetError(
            f"plan {name} is shown to readers, and a newer scan of its tiles must replace it first: "
            f"lensscan scan TILES --out {root_uri}{_night_option(plan_id, root_uri)}"
        )
    if not (unfinished or exists(seal_uri(root_uri, plan_id)) or _is_begun(plan_id, root_uri)):
        raise ForgetError(
            f"plan {name} has no seal, so a scan may be running; if none is: lensscan forget {root_uri} {name} --unfinished"
        )
    n_files = n_bytes = 0
    for file in _files(plan_id, root_uri):
        remove(file)
        n_files, n_bytes = n_files + 1, n_bytes + file.size
    return Forgotten(plan_id=plan_id, n_files=n_files, n_bytes=n_bytes)


def _has_rows(shown: ShownPlan, root_uri: str) -> bool:
    """Return whether readers see a row of the plan, or no newer plan of its night."""
    hidden = object_ids(root_uri, shown.newer)
    return not shown.newer or not pc.all(pc.is_in(object_ids(root_uri, [shown]), hidden), min_count=0).as_py()


def _night_option(plan_id: str, root_uri: str) -> str:
    sealed = load_seal(root_uri, plan_id)
    return f" --night {sealed.night}" if sealed and sealed.night else ""


def _is_begun(plan_id: str, root_uri: str) -> bool:
    """Return whether the plan was shown once and its seal is gone, but not because a repair has moved it away."""
    recorded = any(record.plan_id == plan_id for records in show_records(root_uri).values() for record in records)
    moved = list_files(join(root_uri, QUARANTINE))
    return recorded and not any(file.uri.rpartition("/")[2].startswith(f"{plan_id}.json.") for file in moved)


def _files(plan_id: str, root_uri: str) -> Iterator[FileInfo]:
    """Yield the files of a plan in the order of their removal: first those that refer to others."""
    for uri in (seal_uri(root_uri, plan_id), join(root_uri, sealed_path(plan_id))):
        with suppress(FileNotFoundError):
            yield info(uri)
    yield from list_files(units_uri(root_uri, plan_id))
    with suppress(FileNotFoundError):
        yield info(plan_uri(root_uri, plan_id))
