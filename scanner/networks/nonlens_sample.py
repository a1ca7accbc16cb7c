"""The scores of a large sample of non-lenses that no network saw: the file beside the card that guaranteed lists need."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.provenance import sha256_bytes
from scanner.networks.card import EnsembleCard, NonLensSampleCard
from scanner.networks.card_file import read_beside, write_beside
from scanner.networks.errors import PackageError

SAMPLE_FILE = "nonlenses.parquet"
"""Name to which digits of the digest are added."""
_MAX_BYTES = 2**28


@dataclass(frozen=True)
class NonLensTail:
    """The highest scores of a sample of non-lenses."""

    p_lens: NDArray[np.float32]
    """`[stored]`, ascending: every score of the sample that is at least `least`."""
    least: float
    n: int
    """Number of objects in the sample, stored or not."""

    @classmethod
    def of(cls, p_lens: NDArray[np.float32], least: float) -> Self:
        """Return the scores from `least` on of a sample `[object]`."""
        kept = np.asarray(p_lens, np.float32)
        return cls(np.sort(kept[kept.astype(np.float64) >= least]), least, len(kept))

    def p_values(self, p_lens: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return conformal p-values `[object]`: (1 + number of the sample at or above) / (1 + n); 1 below `least`."""
        scores = np.asarray(p_lens, np.float64)
        n_above = len(self.p_lens) - np.searchsorted(self.p_lens.astype(np.float64), scores, side="left")
        return np.asarray(np.where(scores >= self.least, (1 + n_above) / (1 + self.n), 1.0))


def with_sample(folder: Path, card: EnsembleCard, tail: NonLensTail, description: str) -> EnsembleCard:
    """Write the file of a sample into a package, and return a copy of its card that refers to it; the caller writes the card.

    Args:
        folder: Folder of the package.
        card: Card of the package, whose ensemble scored the sample.
        tail: Scores of the sample.
        description: Origin of the objects.
    """
    sink = io.BytesIO()
    pq.write_table(pa.table({"p_lens": tail.p_lens}), sink, compression="zstd", write_page_checksum=True)
    about = NonLensSampleCard(
        file=write_beside(folder, SAMPLE_FILE, sink.getvalue()),
        sha256=sha256_bytes(sink.getvalue()),
        ensemble_sha256=card.lens_sha256,
        n_objects=tail.n,
        n_stored=len(tail.p_lens),
        least=tail.least,
        description=description,
    )
    return card.model_copy(update={"nonlens_sample": about})


def read_sample(folder: Path, card: EnsembleCard) -> NonLensTail | None:
    """Return the sample of a package; None if it has none, or one that other weights scored.

    Raises:
        PackageError: the file is missing, damaged, or not the one of the card.
    """
    about = card.nonlens_sample
    if about is None or about.ensemble_sha256 != card.lens_sha256:
        return None
    path = folder / about.file
    data = read_beside(path, _MAX_BYTES, "guaranteed lists need the sample of non-lenses on the card")
    if sha256_bytes(data) != about.sha256:
        raise PackageError(f"{path}: sha256 must be {about.sha256} as on the card, got {sha256_bytes(data)}")
    try:
        p_lens = pq.read_table(pa.BufferReader(data))["p_lens"].to_numpy().astype(np.float32)
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise PackageError(f"{path}: not a sample of non-lenses ({' '.join(str(error).split())[:200]})") from error
    if len(p_lens) != about.n_stored or np.any(np.diff(p_lens) < 0):
        raise PackageError(f"{path}: must hold {about.n_stored} scores, ascending, got {len(p_lens)}")
    return NonLensTail(p_lens, about.least, about.n_objects)
