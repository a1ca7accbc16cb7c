"""A simulated night as its catalogue holds it, counted against the truth of its tiles."""

from collections import Counter
from collections.abc import Iterable
from io import BytesIO

import pyarrow.parquet as pq

from infra.frozen import Frozen
from infra.store.storage import FileInfo, join, list_files, read_bytes
from scanner.catalogue.audit.status import State, plan_status
from scanner.catalogue.visible import selected_plans, unit_files_of


class Counted(Frozen):
    """A night as the catalogue holds it."""

    rows: int
    candidates: int | None
    sealed: bool
    promoted: bool
    each_source_once: bool


def counted(tiles: str, catalogue: str, night: str) -> Counted:
    """Count a night from the files of its catalogue alone, and compare the ids with the truth of the simulated tiles.

    Raises:
        VisibleError: readers see no scan of the night.
    """
    (shown,) = selected_plans(catalogue, night=night)
    found = Counter(i for uri in _uris(unit_files_of(catalogue, shown)) for i in _ids(uri))
    expected = Counter(i for uri in _uris(list_files(join(tiles, night))) if uri.endswith("truth.parquet") for i in _ids(uri))
    status = plan_status(shown.plan_id, catalogue)
    return Counted(
        rows=found.total(),
        candidates=status.n_candidates,
        sealed=status.is_sealed,
        promoted=status.state is State.SHOWN,
        each_source_once=bool(expected) and found == expected,
    )


def _uris(files: Iterable[FileInfo]) -> list[str]:
    return [file.uri for file in files]


def _ids(uri: str) -> list[int]:
    return pq.read_table(BytesIO(read_bytes(uri)), columns=["object_id"])["object_id"].to_pylist()
