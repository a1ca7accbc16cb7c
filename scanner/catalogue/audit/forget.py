"""Remove a plan that no reader shows, with all files that it wrote."""

from collections.abc import Iterator
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.store.removal import remove
from infra.store.storage import FileInfo, exists, info, join, list_files, read_bytes
from scanner.catalogue.journal import Event, stored_entries
from scanner.catalogue.known_plan import records_of
from scanner.catalogue.night_file import was_written_with, write_night
from scanner.catalogue.paths import night_label, night_uri, plan_uri, quality_uri, seal_uri, sealed_path, units_uri
from scanner.catalogue.shown import shown_plans


class ForgetError(LensscanError):
    """The plan must not be removed, or no more of its files."""


class Forgotten(Frozen):
    """A plan that was removed."""

    plan_id: str
    n_files: int
    n_bytes: int


def forget_plan(plan_id: str, root_uri: str, *, unfinished: bool = False, shown: bool = False) -> Forgotten:
    """Remove the seal, the candidate file, the verdicts, the units, the record of the input and the plan itself, in this order.

    Before the seal, the night's records that name the plan are removed: so a plan that is scanned again waits for its gate. The
    night's file is written again if it is old, or removed if the night shows no plan any more. Both are done once more before
    the plan itself is removed, because a scan may have shown the plan meanwhile. After an interruption, the plan has no seal
    and is removed like one whose scan has not ended, or has its seal and is not shown.

    Args:
        plan_id: Id of the plan.
        root_uri: The catalogue's root.
        unfinished: Remove a plan without a seal, too. Its scan must not be running.
        shown: Remove a plan that readers see, too. Older plans of its tiles, if there are any, are seen again.

    Raises:
        ForgetError: readers show the plan, it has no seal and `unfinished` is not set, or a scan has sealed it meanwhile.
        StorageError: the store failed; forget the plan again.
    """
    name, seal = plan_id[:12], seal_uri(root_uri, plan_id)
    is_shown = any(found.plan_id == plan_id for plans in shown_plans(root_uri).values() for found in plans)
    if is_shown and not shown:
        raise ForgetError(
            f"plan {name} is shown to readers; to take its objects away from them: lensscan forget {root_uri} {name} --shown"
        )
    if not (unfinished or exists(seal)):
        raise ForgetError(
            f"plan {name} has no seal, so a scan may be running; if none is: lensscan forget {root_uri} {name} --unfinished"
        )
    _hide(plan_id, root_uri)
    n_files = n_bytes = 0
    for file in _files(plan_id, root_uri):
        if file.uri != seal and exists(seal):
            raise ForgetError(f"a scan has sealed plan {name} while its files were removed, so the other files stay")
        if file.uri == plan_uri(root_uri, plan_id):
            # A removal that is interrupted later than this cannot be repeated.
            _hide(plan_id, root_uri)
        remove(file)
        n_files, n_bytes = n_files + 1, n_bytes + file.size
    return Forgotten(plan_id=plan_id, n_files=n_files, n_bytes=n_bytes)


def _files(plan_id: str, root_uri: str) -> Iterator[FileInfo]:
    """Yield the files of a plan in the order of their removal: first those that refer to others."""
    for uri in (seal_uri(root_uri, plan_id), join(root_uri, sealed_path(plan_id))):
        with suppress(FileNotFoundError):
            yield info(uri)
    # What held the plan goes after its seal: without it, another command would show the sealed plan.
    yield from [file for file, _, entry in stored_entries(root_uri) if entry.plan_id == plan_id]
    yield from list_files(quality_uri(root_uri, plan_id))
    yield from list_files(units_uri(root_uri, plan_id))
    yield from records_of(root_uri, plan_id)
    with suppress(FileNotFoundError):
        yield info(plan_uri(root_uri, plan_id))


class _PlannedNight(BaseModel):
    """The night of a plan; plans of all versions have it."""

    night: str | None


def _hide(plan_id: str, root_uri: str) -> None:
    """Remove the records that show a plan, write the files of their nights without it, and remove those that show nothing.

    The file of the plan's own night is mended without a record, too: an earlier call may have ended after the records.
    """
    labels = set()
    for file, label, entry in stored_entries(root_uri):
        if entry.plan_id == plan_id and entry.event is Event.SHOWN:
            remove(file)
            labels.add(label)
    with suppress(FileNotFoundError, ValidationError):
        plan = _PlannedNight.model_validate_json(read_bytes(plan_uri(root_uri, plan_id)))
        if was_written_with(plan_id, root_uri, own := night_label(plan.night)):
            labels.add(own)
    for label in sorted(labels):
        write_night(root_uri, label)
        with suppress(FileNotFoundError):
            # Looked up first: the file of a plan that is shown meanwhile is another version, which is not removed.
            file = info(night_uri(root_uri, label))
            if not shown_plans(root_uri, label).get(label):
                remove(file)
