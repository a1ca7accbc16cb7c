"""Scores on their way into a table: gathered in any order, given back in the order of the input."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.errors import LensscanError
from scanner.catalogue.columns import network_column, score_fields
from scanner.catalogue.outcomes import SCORED
from scanner.networks.ensemble import EnsembleScores
from scanner.vocabulary.rejections import Rejection


class ScanError(LensscanError):
    """A unit that is not what the plan says, or a network that gives no probability: never a property of one row."""


class ScoreSheet:
    """Rows of `score_fields`, each known by its place in the input."""

    def __init__(self, network_names: Sequence[str]) -> None:
        self._network_names = tuple(network_names)
        self._schema = pa.schema(score_fields(self._network_names))
        self._places: list[NDArray[np.int64]] = []
        self._tables: list[pa.Table] = []
        self._again: list[tuple[NDArray[np.int64], pa.Table]] = []

    def put(self, places: NDArray[np.int64], notes: Sequence[tuple[str, ...]], scores: EnsembleScores, precision: str) -> None:
        """Scores of rows that have none yet; `ScanError` if one is no probability."""
        self._places.append(places)
        self._tables.append(self._scored(notes, scores, precision))

    def put_again(
        self, places: NDArray[np.int64], notes: Sequence[tuple[str, ...]], scores: EnsembleScores, precision: str
    ) -> None:
        """Better scores, in place of those that the rows have."""
        self._again.append((places, self._scored(notes, scores, precision)))

    def reject(self, rejected: Sequence[tuple[int, Rejection]]) -> None:
        """Rows that cannot be scored."""
        if not rejected:
            return
        self._places.append(np.array([place for place, _ in rejected], np.int64))
        texts = {
            "status": [rejection.status for _, rejection in rejected],
            "detail": [rejection.detail for _, rejection in rejected],
            "subclass": [""] * len(rejected),
            "precision": [""] * len(rejected),
        }
        self._tables.append(self._table({name: pa.array(text, pa.string()) for name, text in texts.items()}, len(rejected)))

    def table(self) -> pa.Table:
        """One row per place, in their order.

        Raises:
            ScanError: a place is missing or was filled twice.
        """
        places = np.concatenate([np.empty(0, np.int64), *self._places])
        order = places.argsort(kind="stable")
        if not np.array_equal(places[order], np.arange(len(places))):
            raise ScanError(f"each of {len(places)} rows must be scored or rejected once, got the places {places[order]}")
        first_again = len(places)
        for again, _ in self._again:
            order[again] = np.arange(first_again, first_again + len(again))
            first_again += len(again)
        tables = [self._schema.empty_table(), *self._tables, *(table for _, table in self._again)]
        return pa.concat_tables(tables).take(pa.array(order)).combine_chunks()

    def _scored(self, notes: Sequence[tuple[str, ...]], scores: EnsembleScores, precision: str) -> pa.Table:
        n = len(notes)
        probabilities = {network_column(name).name: scores.p_networks[name] for name in self._network_names}
        probabilities |= {"p_lens": scores.p_lens, "disagreement": scores.disagreement}
        if scores.p_compound is not None:
            probabilities["p_compound"] = scores.p_compound
        columns = {name: _probability_column(name, values, n) for name, values in probabilities.items()}
        columns["status"] = pa.array([SCORED] * n, pa.string())
        # Empty where there is nothing to say: some readers stumble over a null in a text column.
        columns["detail"] = pa.array(["; ".join(said) for said in notes], pa.string())
        columns["subclass"] = pa.array([""] * n if scores.subclass is None else scores.subclass, pa.string())
        columns["precision"] = pa.array([precision] * n, pa.string())
        return self._table(columns, n)

    def _table(self, columns: dict[str, pa.Array], n_rows: int) -> pa.Table:
        arrays = [columns.get(field.name, pa.nulls(n_rows, field.type)) for field in self._schema]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _probability_column(name: str, values: NDArray[np.float32], n_rows: int) -> pa.Array:
    if values.shape != (n_rows,) or not np.all((values >= 0) & (values <= 1)):
        raise ScanError(f"{name}: a network must give one probability in 0-1 per cutout, got {values}")
    return pa.array(values, pa.float32())
