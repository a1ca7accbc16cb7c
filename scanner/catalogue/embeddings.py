"""Check the embeddings of a unit, and read those of a table as an array."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.catalogue.columns import ANOMALY, EMBEDDING
from scanner.catalogue.plan import ScanConfig
from scanner.vocabulary.stages import NO_STAGE


class EmbeddingError(LensscanError):
    """The embeddings of a table are not those that its plan requires."""


def check_embeddings(table: pa.Table, config: ScanConfig) -> None:
    """Check that a unit has embeddings if its plan names a reference, each whole, and only in scored rows.

    Raises:
        EmbeddingError: the columns do not match the plan, or an embedding has impossible values.
    """
    wanted = config.reference_sha256 is not None
    if (EMBEDDING.name in table.column_names) != wanted:
        raise EmbeddingError(
            f"the plan asks for {'embeddings' if wanted else 'no embeddings'}, the table's columns do not match"
        )
    if not wanted:
        return
    embedding, anomaly = table[EMBEDDING.name], table[ANOMALY.name]
    is_there = embedding.is_valid().to_numpy()
    if not np.array_equal(is_there, anomaly.is_valid().to_numpy()):
        raise EmbeddingError(f"{ANOMALY.name}: must be null exactly where {EMBEDDING.name} is")
    if np.any(is_there & (table["stage"].to_numpy() == NO_STAGE)):
        raise EmbeddingError(f"{EMBEDDING.name}: must be null in rows without a score")
    if lengths := set(pc.list_value_length(embedding).drop_null().unique().to_pylist()) - {EMBEDDING.n_values}:
        raise EmbeddingError(f"{EMBEDDING.name}: must have {EMBEDDING.n_values} values, got {sorted(lengths)}")
    values = pc.list_flatten(embedding)
    if values.null_count or not np.isfinite(values.to_numpy()).all():
        raise EmbeddingError(f"{EMBEDDING.name}: its values must be finite numbers")
    numbers = anomaly.drop_null().to_numpy()
    if not (np.isfinite(numbers).all() and numbers.min(initial=0) >= 0):
        raise EmbeddingError(f"{ANOMALY.name}: must be 0 or more, got {numbers.min(initial=0)}")


def embedding_array(table: pa.Table) -> NDArray[np.float32]:
    """Return the embeddings of rows that all have one, `[row, axis]`."""
    return np.asarray(pc.list_flatten(table[EMBEDDING.name]).to_numpy(), np.float32).reshape(-1, EMBEDDING.n_values)
