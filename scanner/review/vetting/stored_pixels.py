"""Read the pixels of chosen candidates on demand, a row group at a time, and keep those that a grader may see next."""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infra.store.storage import StorageError, join, open_read
from scanner.catalogue.paths import sealed_path, unit_uri
from scanner.review.candidate import PIXEL_COLUMNS, CandidatePixels, pixel_rows, pixels_of
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.images import SubjectImage, stored_image

MOST_KEPT = 4096
"""Largest number of images in memory; each takes 51 kB."""
_MOST_GROUPS = 4
"""Largest number of row groups of a file whose maps are in memory; each takes 5 MB."""
_BANDS, _COLOURS = ("cutout_sigma", "cutout_step"), ("cutout_rgb",)


class StoredPixels:
    """Pixels of the candidates with the rows given, from the files of the plans that scored them."""

    def __init__(self, root_uri: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._root_uri = root_uri
        self._rows = {row["object_id"]: row for row in rows}
        self._files: dict[str, _PixelFile] = {}
        self._images: OrderedDict[int, SubjectImage | None] = OrderedDict()
        self._lock = Lock()

    def images(self, object_ids: Sequence[int]) -> list[SubjectImage | None]:
        """Return the images of some of the objects, None for one whose file holds none.

        All images of a row group are kept once it has been read, because others of them are wanted soon.

        Raises:
            VettingError: a file of the catalogue is missing or damaged.
            StorageError: the store failed.
        """
        with self._lock:
            for object_id in object_ids:
                if object_id not in self._images:
                    for neighbour, image in self._file(object_id).images(object_id).items():
                        self._images[neighbour] = image
                self._images.move_to_end(object_id)
            found = [self._images[object_id] for object_id in object_ids]
            while len(self._images) > max(MOST_KEPT, len(object_ids)):
                self._images.popitem(last=False)
            return found

    def maps(self, object_id: int) -> CandidatePixels | None:
        """Return picture and maps of an object, without its bands; raises as `images`."""
        with self._lock:
            return pixels_of(self._file(object_id).maps(object_id))

    def _file(self, object_id: int) -> "_PixelFile":
        """Return the file that holds an object's pixels: that of its plan's candidates, or of its unit before the seal."""
        row = self._rows[object_id]
        uris = [join(self._root_uri, sealed_path(row["plan_id"])), unit_uri(self._root_uri, row["plan_id"], row["tile"])]
        for uri in uris:
            if uri in self._files:
                return self._files[uri]
        for uri in uris:
            wanted = {name for name, other in self._rows.items() if other["plan_id"] == row["plan_id"]}
            try:
                self._files[uri] = _PixelFile(uri, wanted)
            except FileNotFoundError:
                continue
            return self._files[uri]
        raise VettingError(f"{uris[0]}: is gone; was the plan forgotten? Start `lensscan vet` again")


class _PixelFile:
    """A Parquet file with pixels, and where the wanted objects lie in it."""

    def __init__(self, uri: str, wanted: set[int]) -> None:
        self._uri, self._wanted = uri, wanted
        self._place: dict[int, tuple[int, int]] = {}
        """Row group and row of each wanted object that was found so far."""
        self._n_searched = 0
        self._maps: OrderedDict[int, pa.Table] = OrderedDict()
        source = open_read(uri)
        # The file stays open as long as this object is there.
        weakref.finalize(self, source.close)
        self._file = _checked(uri, lambda: pq.ParquetFile(source, page_checksum_verification=True))
        self._names = set(self._file.schema_arrow.names)

    def images(self, object_id: int) -> dict[int, SubjectImage | None]:
        """Return the images of all wanted objects in the row group of one."""
        group, _ = self._find(object_id)
        columns = _BANDS if self._names.issuperset(_BANDS) else _COLOURS
        rows = {name: row for name, (of, row) in self._place.items() if of == group}
        table = self._read(group, columns, list(rows.values()))
        found = dict(zip(rows, map(stored_image, pixel_rows(table)), strict=True))
        if columns == _BANDS and (without := [name for name, image in found.items() if image is None]):
            table = self._read(group, _COLOURS, [rows[name] for name in without])
            found |= dict(zip(without, map(stored_image, pixel_rows(table)), strict=True))
        return found

    def maps(self, object_id: int) -> dict[str, Any]:
        """Return the columns of picture and maps of an object; those of the last row groups are kept."""
        group, row = self._find(object_id)
        if group not in self._maps:
            columns = [name for name in PIXEL_COLUMNS if name in self._names and name not in _BANDS]
            self._maps[group] = _checked(self._uri, lambda: self._file.read_row_group(group, columns))
            if len(self._maps) > _MOST_GROUPS:
                self._maps.popitem(last=False)
        return next(iter(pixel_rows(self._maps[group].slice(row, 1))))

    def _find(self, object_id: int) -> tuple[int, int]:
        """Return row group and row of an object; groups are searched in order, because the best candidates lie in the first."""
        while object_id not in self._place and self._n_searched < self._file.num_row_groups:
            self._search(self._n_searched)
            self._n_searched += 1
        if object_id not in self._place:
            raise VettingError(f"{self._uri}: no longer holds object {object_id}; start `lensscan vet` again")
        return self._place[object_id]

    def _search(self, group: int) -> None:
        ids = _checked(self._uri, lambda: self._file.read_row_group(group, ["object_id"]))["object_id"].to_pylist()
        self._place |= {name: (group, row) for row, name in enumerate(ids) if name in self._wanted}

    def _read(self, group: int, columns: Sequence[str], rows: Sequence[int]) -> pa.Table:
        wanted = [name for name in columns if name in self._names]
        return _checked(self._uri, lambda: self._file.read_row_group(group, wanted).take(pa.array(rows, pa.int64())))


def _checked(uri: str, read: Callable[[], Any]) -> Any:
    """Return what `read` returns; an error of Parquet is one of the file."""
    try:
        return read()
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VettingError(f"{uri}: cannot be read: {' '.join(str(error).split())[:200]}") from error
