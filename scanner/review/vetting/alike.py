"""The subjects of a catalogue that the networks see most like another."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from scanner.catalogue.columns import EMBEDDING
from scanner.catalogue.embeddings import embedding_array
from scanner.catalogue.plan import load_plan
from scanner.catalogue.shown import ShownPlan
from scanner.catalogue.units import PlanError
from scanner.catalogue.visible import rows_of
from scanner.review.embeddings.rows import EmbeddedRows

MOST_ALIKE = 20
"""Number of subjects that are called alike."""


class Alike:
    """Embeddings of the candidates with the rows given; they are read once they are asked for."""

    def __init__(self, root_uri: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._root_uri = root_uri
        self._rows = {(row["plan_id"], row["object_id"]) for row in rows}

    def ids_like(self, object_id: int) -> list[int]:
        """Return the ids of the candidates most like one, nearest first; none if it has no embedding.

        A plan whose file cannot be read, such as one of another version of lensscan, has no embeddings here.

        Raises:
            LensscanError: the catalogue cannot be read.
        """
        for rows in self._by_reference:
            ids = rows.table["object_id"].to_numpy()
            if len(at := np.flatnonzero(ids == object_id)):
                return [int(found) for found in ids[rows.near(int(at[0]), MOST_ALIKE).rows]]
        return []

    @cached_property
    def _by_reference(self) -> list[EmbeddedRows]:
        """Candidates whose embeddings have the same axes, together."""
        plans: dict[str, list[ShownPlan]] = {}
        for plan_id in sorted({plan_id for plan_id, _ in self._rows}):
            try:
                config = load_plan(self._root_uri, plan_id).config
            except PlanError:
                continue
            if config.reference_sha256 is not None:
                plans.setdefault(config.reference_sha256, []).append(ShownPlan(plan_id, config.candidate_threshold))
        return [self._read(of_reference) for of_reference in plans.values()]

    def _read(self, plans: list[ShownPlan]) -> EmbeddedRows:
        table = rows_of(self._root_uri, plans).select(["plan_id", "object_id", EMBEDDING.name])
        names = zip(table["plan_id"].to_pylist(), table["object_id"].to_pylist(), strict=True)
        chosen = np.array([name in self._rows for name in names], bool) & table[EMBEDDING.name].is_valid().to_numpy()
        table = table.take(np.flatnonzero(chosen))
        return EmbeddedRows(table, embedding_array(table))
