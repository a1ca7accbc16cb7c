"""Find the plan of an input that was planned before, by the listing of its files: a rerun then reads no catalogue of sources.

A plan follows from the files of its tiles, each known by size and ETag, and from the request. The digest of both names
a small file that names the plan. An area or a list of targets is a file of its own, so such requests are planned anew.
The file also says which tiles the plan leaves out, for `reconcile`, and such a request has one for that alone.
"""

from typing import Any

from pydantic import Field, ValidationError

from infra.frozen import Frozen
from infra.provenance import canonical_json, digest
from infra.store.replacement import replace
from infra.store.storage import FileInfo, join, list_files, read_bytes, read_many
from scanner.catalogue.paths import INPUTS, planned_input_uri
from scanner.catalogue.selection import Selection
from scanner.catalogue.units import LeftOut
from scanner.sources.tiles import FoundTiles


class KnownPlan(Frozen):
    """The plan of an input, and what the plan itself does not store."""

    number: int = Field(default=0, ge=0)
    """Of two records that name a plan, the one with the larger number is newer."""
    plan_id: str = Field(pattern="^[0-9a-f]{64}$")
    left_out: tuple[LeftOut, ...] = ()


def input_digest(listed: FoundTiles, selection: Selection, **request: Any) -> str | None:
    """Return the digest of a listing and a request; None if a plan does not follow from them alone.

    Args:
        listed: The tiles that the input holds.
        selection: The selection of tiles and sources.
        request: All else that the plan depends on, as JSON can express it.
    """
    if not listed.tiles or selection.moc_uri is not None or selection.targets_uri is not None:
        return None
    files = [
        [tile.tile_id, [[role, file.uri, file.size, file.etag] for role, file in sorted(tile.files.items())]]
        for tile in listed.tiles
    ]
    without = sorted((tile, list(bands)) for tile, bands in listed.without_catalogue.items())
    return digest({"files": files, "without": without, "selection": selection.model_dump(mode="json"), **request})


def known_plan(root_uri: str, key: str) -> KnownPlan | None:
    """Return the plan of the input with this digest; None if there is none, or its record is damaged.

    Raises:
        StorageError: the store failed.
    """
    try:
        return _parsed(read_bytes(planned_input_uri(root_uri, key)))
    except FileNotFoundError:
        return None


def records_of(root_uri: str, plan_id: str) -> list[FileInfo]:
    """Return the records that name a plan, damaged ones left out.

    Raises:
        StorageError: the store failed.
    """
    files = list_files(join(root_uri, INPUTS))
    contents = zip(files, read_many(files), strict=True)
    known = [(file, None if data is None else _parsed(data)) for file, data in contents]
    return [file for file, record in known if record is not None and record.plan_id == plan_id]


def left_out_by_plan(root_uri: str) -> dict[str, tuple[LeftOut, ...]]:
    """Return the tiles that could not be scanned when each plan was last made of an input; nothing for other plans.

    Raises:
        StorageError: the store failed.
    """
    return {record.plan_id: record.left_out for record in _records(root_uri)}


def remember_plan(root_uri: str, key: str, known: KnownPlan) -> None:
    """Record the plan of an input as the newest that names this plan; write nothing if the newest one says the same.

    Raises:
        StorageError: the store failed.
    """
    of_plan = [record for record in _records(root_uri) if record.plan_id == known.plan_id]
    newest = of_plan[-1] if of_plan else known
    own = known_plan(root_uri, key)
    if own is None or own.plan_id != known.plan_id or newest.left_out != known.left_out:
        numbered = known.model_copy(update={"number": newest.number + 1})
        replace(planned_input_uri(root_uri, key), canonical_json(numbered.model_dump(mode="json")))


def _records(root_uri: str) -> list[KnownPlan]:
    """Return the records of all inputs, oldest first, damaged ones left out."""
    files = list_files(join(root_uri, INPUTS))
    found = [_parsed(data) for data in read_many(files) if data is not None]
    return sorted((record for record in found if record is not None), key=lambda record: record.number)


def _parsed(data: bytes) -> KnownPlan | None:
    try:
        return KnownPlan.model_validate_json(data)
    except ValidationError:
        return None
