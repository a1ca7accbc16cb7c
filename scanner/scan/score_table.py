"""Gather scores in any order and return them as a table in the order of the input."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.columns import ANOMALY, EMBEDDING, score_fields
from scanner.catalogue.outcomes import SCORED
from scanner.networks.ensemble import EnsembleScores, joined
from scanner.networks.feature_reference import FeatureReference
from scanner.scan.errors import ScanError
from scanner.sources.registration_notes import BatchNotes
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import kind_column_name, network_column_name
from scanner.vocabulary.rejections import Rejection
from scanner.vocabulary.stages import FIRST, NO_STAGE


@dataclass(frozen=True)
class _Part:
    """Scores of some rows."""

    rows: NDArray[np.int64]
    notes: BatchNotes
    scores: EnsembleScores
    precision: str

    @property
    def kind(self) -> tuple[object, ...]:
        """Precision, and which scores are missing: parts that agree in both become columns together."""
        lacks = (getattr(self.scores, field.name) is None for field in fields(EnsembleScores))
        return self.precision, *lacks


class ScoreTable:
    """Rows of `score_fields`, each identified by its number in the input."""

    def __init__(self, network_names: Sequence[str], reference: FeatureReference | None = None) -> None:
        """Take the names of the networks; with a reference, rows have the columns of embeddings."""
        self._network_names, self._reference = tuple(network_names), reference
        self._schema = pa.schema(score_fields(self._network_names, embeddings=reference is not None))
        self._parts: list[_Part] = []
        self._again: list[_Part] = []
        self._rejected: list[tuple[int, Rejection]] = []

    def put(self, rows: NDArray[np.int64], notes: BatchNotes, scores: EnsembleScores, precision: str) -> None:
        """Add scores of rows without scores."""
        self._parts.append(_Part(rows, notes, scores, precision))

    def put_rescored(self, rows: NDArray[np.int64], notes: BatchNotes, scores: EnsembleScores, precision: str) -> None:
        """Replace the scores of rows by better ones."""
        self._again.append(_Part(rows, notes, scores, precision))

    def reject(self, rejected: Sequence[tuple[int, Rejection]]) -> None:
        """Add rows that cannot be scored."""
        self._rejected += rejected

    def table(self) -> pa.Table:
        """Return one row per input row, in the order of the input.

        Raises:
            ScanError: a row is missing or was added twice, or a score is not a probability.
        """
        scored, again = _of_one_kind(self._parts), _of_one_kind(self._again)
        rejected = np.array([row for row, _ in self._rejected], np.int64)
        rows = np.concatenate([*(part.rows for part in scored), rejected])
        order = rows.argsort(kind="stable")
        if not np.array_equal(rows[order], np.arange(len(rows))):
            raise ScanError(f"each of {len(rows)} rows must be scored or rejected once, got the rows {rows[order]}")
        first_again = len(rows)
        for part in again:
            order[part.rows] = np.arange(first_again, first_again + len(part.rows))
            first_again += len(part.rows)
        tables = [*map(self._scored, scored), self._of_rejected(), *map(self._scored, again)]
        return pa.concat_tables(tables).take(pa.array(order)).combine_chunks()

    def _of_rejected(self) -> pa.Table:
        n_rows = len(self._rejected)
        texts = {
            "status": [rejection.status for _, rejection in self._rejected],
            "detail": [rejection.detail for _, rejection in self._rejected],
            "subclass": [""] * n_rows,
            "precision": [""] * n_rows,
        }
        columns = {name: pa.array(text, pa.string()) for name, text in texts.items()}
        columns["stage"] = pa.array(np.full(n_rows, NO_STAGE), pa.int16())
        return self._table(columns, n_rows)

    def _scored(self, part: _Part) -> pa.Table:
        n, notes, scores = len(part.rows), part.notes, part.scores
        of_networks = {network_column_name(name): scores.p_networks[name] for name in self._network_names}
        of_networks["disagreement"] = scores.disagreement
        probabilities = {"p_lens": scores.p_lens}
        if scores.p_compound is not None:
            probabilities["p_compound"] = scores.p_compound
        if scores.kinds_given_lens is not None:
            shares = dict(zip(KINDS[1:], scores.kinds_given_lens.T, strict=True))
            probabilities |= {kind_column_name(kind): share for kind, share in shares.items()}
        is_unseen = None if scores.stage is None else scores.stage == FIRST
        columns = {name: _probability_column(name, values, n, is_unseen) for name, values in of_networks.items()}
        columns |= {name: _probability_column(name, values, n, None) for name, values in probabilities.items()}
        columns["stage"] = pa.array(np.full(n, FIRST) if scores.stage is None else scores.stage, pa.int16())
        columns["status"] = pa.array([SCORED] * n, pa.string())
        # Rows without a note get an empty string, because some readers fail on a null in a text column.
        columns["detail"] = pa.array(["; ".join(flags) for flags in notes.notes], pa.string())
        columns["bands_shift_arcsec"] = pa.array(notes.shift_arcsec, pa.float32(), mask=np.isnan(notes.shift_arcsec))
        columns["subclass"] = pa.array([""] * n if scores.subclass is None else scores.subclass, pa.string())
        columns["precision"] = pa.array([part.precision] * n, pa.string())
        if self._reference is not None and scores.features is not None:
            columns |= _embedding_columns(scores.features, self._reference)
        return self._table(columns, n)

    def _table(self, columns: dict[str, pa.Array], n_rows: int) -> pa.Table:
        arrays = [columns.get(field.name, pa.nulls(n_rows, field.type)) for field in self._schema]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _of_one_kind(parts: Sequence[_Part]) -> list[_Part]:
    """Join the parts of each kind, because converting a batch to columns takes as long as converting many."""
    kinds: dict[tuple[object, ...], list[_Part]] = {}
    for part in parts:
        kinds.setdefault(part.kind, []).append(part)
    return [_joined(some) for some in kinds.values()]


def _joined(parts: Sequence[_Part]) -> _Part:
    notes = BatchNotes(
        [note for part in parts for note in part.notes.notes], np.concatenate([part.notes.shift_arcsec for part in parts])
    )
    rows = np.concatenate([part.rows for part in parts])
    return _Part(rows, notes, joined([part.scores for part in parts]), parts[0].precision)


def _embedding_columns(features: NDArray[np.float32], reference: FeatureReference) -> dict[str, pa.Array]:
    """Return anomaly and embedding of rows with these features, `[n, feature]`; null where the features are NaN."""
    is_seen = ~np.isnan(features).any(axis=1)
    embeddings = reference.embeddings(features[is_seen])
    anomaly = np.full(len(features), np.nan, np.float32)
    anomaly[is_seen] = reference.anomalies(embeddings)
    ends = np.concatenate([[0], np.cumsum(is_seen * EMBEDDING.n_values)]).astype(np.int32)
    values = pa.array(embeddings.reshape(-1), pa.float32())
    return {
        ANOMALY.name: pa.array(anomaly, pa.float32(), mask=~is_seen),
        EMBEDDING.name: pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(~is_seen)),
    }


def _probability_column(name: str, values: NDArray[np.float32], n_rows: int, is_unseen: NDArray[np.bool_] | None) -> pa.Array:
    """Return a column of probabilities, null where the value is NaN in a row that the committee did not see."""
    is_missing = np.zeros(n_rows, np.bool_) if is_unseen is None else is_unseen & np.isnan(values)
    if values.shape != (n_rows,) or not np.all(is_missing | ((values >= 0) & (values <= 1))):
        raise ScanError(f"{name}: a network must give one probability in 0-1 per cutout, got {values}")
    return pa.array(values, pa.float32(), mask=is_missing) if is_missing.any() else pa.array(values, pa.float32())
