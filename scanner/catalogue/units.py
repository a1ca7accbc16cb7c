"""Records of the units of work, the tiles or shards of an input folder, and the digest of the rows that a unit owns."""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from infra.errors import LensscanError
from infra.frozen import Frozen

MAX_EXAMPLES = 5
_UNIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

Ids = npt.NDArray[np.int64]


class PlanError(LensscanError):
    """The input cannot be planned, or the content of a stored plan does not match its id."""


class LeftOutReason(StrEnum):
    """Reason why a tile of the input is no unit of a plan."""

    NO_MOSAIC = "no_mosaic"
    NO_CATALOGUE = "no_catalogue"
    UNREADABLE_CATALOGUE = "unreadable_catalogue"
    LACKS_COLUMNS = "lacks_columns"
    """The catalogue has no column of a name that the condition on sources uses."""


class LeftOut(Frozen):
    """A tile of the input that cannot be scanned; the other tiles are."""

    tile: str
    reason: LeftOutReason
    detail: str = ""

    def __str__(self) -> str:
        reason = self.reason.replace("_", " ")
        return f"{self.tile} ({reason}: {' '.join(self.detail.split())})" if self.detail else f"{self.tile} ({reason})"


class InputFile(Frozen):
    """State of a file when the plan was made."""

    uri: str
    size: int
    etag: str


class SelectedRows(Frozen):
    """The rows of a tile that are scored, because a condition or a target selects them; the others are skipped."""

    n_rows: int = Field(ge=0)
    id_digest: str = Field(pattern="^[0-9a-f]{64}$")
    """`id_digest` of the ids of these rows."""
    bits: str
    """One bit for each row that the unit owns, in the order of its files, first row in the highest bit; in base64."""

    @classmethod
    def of(cls, is_selected: npt.NDArray[np.bool_], object_ids: Ids) -> Self:
        """Record the selected rows among all rows that a unit owns, `[n]` each."""
        return cls(
            n_rows=int(is_selected.sum()),
            id_digest=id_digest(object_ids[is_selected]),
            bits=b64encode(np.packbits(is_selected).tobytes()).decode(),
        )

    def mask(self, n_rows: int) -> npt.NDArray[np.bool_]:
        """Return which of the `n_rows` rows that the unit owns are scored, `[n]`."""
        bits = np.frombuffer(b64decode(self.bits), np.uint8)
        return np.unpackbits(bits, count=n_rows).astype(bool)


class Unit(Frozen):
    """A tile or a shard, which one actor scans and commits at once."""

    unit_id: str
    kind: Literal["tile", "shard"]
    files: dict[str, InputFile]
    """Files by role: the bands and `catalogue` of a tile, or `shard`."""
    n_rows: int = Field(ge=0)
    """Number of rows that the unit owns."""
    id_digest: str = Field(pattern="^[0-9a-f]{64}$")
    """`id_digest` of the ids of these rows."""
    owned_elsewhere: tuple[int, ...] = ()
    """Ids in the files that another unit owns, as for objects where tiles overlap; the unit file leaves them out."""
    selected: SelectedRows | None = Field(default=None, exclude_if=lambda value: value is None)
    """Rows to score; None for all."""

    @property
    def n_selected(self) -> int:
        """Number of rows to score."""
        return self.n_rows if self.selected is None else self.selected.n_rows

    @property
    def n_skipped(self) -> int:
        """Number of rows that are skipped."""
        return self.n_rows - self.n_selected

    @field_validator("unit_id")
    @classmethod
    def _names_a_file(cls, value: str) -> str:
        if not _UNIT_ID.fullmatch(value):
            raise ValueError(f"unit_id must match {_UNIT_ID.pattern}, got {value!r}")
        return value


def id_digest(object_ids: Iterable[int] | Ids) -> str:
    """Return the SHA-256 of the sorted ids (int64, little endian) in hexadecimal; the order of the ids does not matter."""
    return hashlib.sha256(np.sort(np.asarray(object_ids, dtype="<i8")).tobytes()).hexdigest()
