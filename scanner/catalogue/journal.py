"""The journal of a night: numbered entries that say what the scan of a plan asked for, and which plan readers are shown.

The numbers decide the order of plans and of what readers see, so neither clocks nor times of files do. A number belongs to the
writer that creates its file first; another writer takes the next number.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum

from pydantic import Field, ValidationError

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json
from infra.store.storage import CreateOutcome, FileInfo, create_if_absent, join, list_files, read_many
from scanner.catalogue.paths import JOURNAL, entry_uri, label_and_number
from scanner.purity import PurityTable

NOT_AN_ENTRY = "not an entry of a night's journal"


class JournalError(LensscanError):
    """An entry of a night's journal is damaged."""


class Event(StrEnum):
    """What an entry says of its plan."""

    ASKED = "asked"
    """A scan of the plan began; once it is sealed, readers see it."""
    HELD = "held"
    """A scan of the plan began; once it is sealed, it waits for its promotion."""
    SHOWN = "shown"
    """Readers see the plan from now on."""


class Entry(Frozen):
    """One entry of a journal."""

    number: int = Field(default=0, ge=0, exclude=True)
    """Number in the name of the file, which is not in its content."""
    event: Event
    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    threshold: float = Field(ge=0, le=1)
    """Smallest `p_lens` of the candidates that readers see; at least that of the plan's own candidates."""
    purity: PurityTable | None = None
    """Expected purity of the plan's ensemble; None where unknown."""


def entries(root_uri: str, label: str = "") -> dict[str, list[Entry]]:
    """Return the entries of each night, newest first, by the night's label; of one night only if its label is given.

    Raises:
        JournalError: an entry is damaged.
        StorageError: the store failed.
    """
    found: dict[str, list[Entry]] = {}
    for _, night, entry in stored_entries(root_uri, label):
        found.setdefault(night, []).insert(0, entry)
    return found


def stored_entries(root_uri: str, label: str = "") -> Iterator[tuple[FileInfo, str, Entry]]:
    """Yield each entry with its file and its night's label, the oldest of a night first; raises as `entries`."""
    for file, data in _stored(root_uri, label):
        try:
            night, entry = _parsed(file, data)
        except (ValueError, ValidationError) as error:
            raise JournalError(
                f"{file.uri}: {NOT_AN_ENTRY}; `lensscan repair` moves it away, and `lensscan scan` then shows again what "
                "it showed"
            ) from error
        yield file, night, entry


def damaged_entries(root_uri: str, label: str = "") -> dict[str, bytes]:
    """Return the content of each damaged entry by its URI; of one night only if its label is given.

    Raises:
        StorageError: the store failed.
    """
    found = {}
    for file, data in _stored(root_uri, label):
        try:
            _parsed(file, data)
        except (ValueError, ValidationError):
            found[file.uri] = data
    return found


def _stored(root_uri: str, label: str) -> Iterator[tuple[FileInfo, bytes]]:
    files = list_files(join(root_uri, JOURNAL, *filter(None, [label])), ".json")
    contents = zip(files, read_many(files), strict=True)
    # An entry that is gone by now is of a plan that is being forgotten.
    yield from ((file, data) for file, data in contents if data is not None)


def _parsed(file: FileInfo, data: bytes) -> tuple[str, Entry]:
    night, number = label_and_number(file.uri)
    return night, Entry.model_validate_json(data).model_copy(update={"number": number})


def append(root_uri: str, label: str, wanted: Entry, is_alike: Callable[[Entry], bool]) -> Entry:
    """Add an entry to a night's journal and return it with its number.

    If the newest entry that `is_alike` says the same, that one is returned and nothing is written.

    Raises:
        JournalError: an entry of the night is damaged.
        StorageError: the store failed; append the entry again.
    """
    taken = 0
    while True:
        known = entries(root_uri, label).get(label, [])
        newest = next(filter(is_alike, known), None)
        if newest and newest.model_copy(update={"number": 0}) == wanted:
            return newest
        # A listing may lack an entry whose number was found to be taken.
        number = max(taken, known[0].number if known else 0) + 1
        data = canonical_json(wanted.model_dump())
        if create_if_absent(entry_uri(root_uri, label, number), data, wanted.plan_id) is not CreateOutcome.EXISTS:
            return wanted.model_copy(update={"number": number})
        taken = number


def first_numbers(journal: list[Entry]) -> dict[str, int]:
    """Return the number of the oldest entry of each plan: of two plans, the one with the larger number is newer."""
    return {entry.plan_id: entry.number for entry in sorted(journal, key=lambda entry: -entry.number)}
