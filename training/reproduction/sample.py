"""Scores of one data set, ready to be compared with its truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scanner.catalogue.outcomes import SCORED
from scanner.networks.card import EnsembleCard
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.log_odds import restated
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import network_column_name
from training.errors import TrainingError

Scores = dict[str, NDArray[np.float64]]
ENSEMBLE = "ensemble"
"""Name of the score of all networks together."""


@dataclass(frozen=True)
class ScoredSample:
    """Truth and scores of the objects that every ensemble scored, in the order of the data set."""

    truth: pa.Table
    scores: Mapping[str, pa.Table]
    """By name of the ensemble; the same rows."""
    cards: Mapping[str, EnsembleCard]

    @classmethod
    def of(cls, truth: pa.Table, scores: Mapping[str, pa.Table], cards: Mapping[str, EnsembleCard]) -> "ScoredSample":
        """Keep the objects that every ensemble scored.

        Raises:
            TrainingError: no lens or no other object is left.
        """
        is_scored = np.all([np.array(table["status"].to_pylist()) == SCORED for table in scores.values()], axis=0)
        kept = pa.array(is_scored)
        sample = cls(truth.filter(kept), {name: table.filter(kept) for name, table in scores.items()}, cards)
        if not 0 < sample.is_lens.sum() < len(sample.kinds):
            raise TrainingError(
                f"needs scored lenses and other objects, got {sorted(set(sample.kinds.tolist()))}: simulate more"
            )
        return sample

    def check_kinds(self) -> None:
        """Check that there are non-lenses, single and compound lenses: tables and figures compare them.

        Raises:
            TrainingError: one of them is missing.
        """
        found = set(self.kinds.tolist())
        if not (found >= set(KINDS[:2]) and found & set(KINDS[2:])):
            raise TrainingError(f"needs scored non-lenses, single and compound lenses, got {sorted(found)}: simulate more")

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Kind of each object, `[object]`."""
        return np.array(self.truth["kind"].to_pylist())

    @property
    def is_lens(self) -> NDArray[np.bool_]:
        return self.kinds != KINDS[0]

    def networks(self, ensemble: str) -> list[str]:
        """Return the names of an ensemble's networks."""
        return [network.name for network in self.cards[ensemble].lens_networks]

    def properties(self, name: str) -> NDArray[np.float64]:
        """Return a numeric truth column, NaN where it does not apply."""
        return np.array(self.truth[name].to_pylist(), dtype=float)

    def outputs(self, ensemble: str) -> Scores:
        """Return, by name, the lens probabilities `[object]` of an ensemble's networks, in the mixture of their regression.

        A network of a committee that did not see an object has excluded it: it counts as 0.
        """
        table = self.scores[ensemble]
        columns = {name: table[network_column_name(name)].fill_null(0.0).to_numpy() for name in self.networks(ensemble)}
        combiner, prevalence = self.cards[ensemble].combiner, self.cards[ensemble].assumed_prevalence
        if not isinstance(combiner, SoftmaxStack) or prevalence is None:
            return {name: p.astype(np.float64) for name, p in columns.items()}
        return {name: restated(p, prevalence, combiner.fitted_prevalence) for name, p in columns.items()}

    def probabilities(self, ensemble: str) -> Scores:
        """Return `outputs`, and `ENSEMBLE`: `p_lens`, restated to the share of lenses among these objects if calibrated."""
        card, p = self.cards[ensemble], self.column(ensemble, "p_lens")
        if card.assumed_prevalence is not None:
            p = restated(p, card.assumed_prevalence, float(self.is_lens.mean()))
        return {**self.outputs(ensemble), ENSEMBLE: p}

    def column(self, ensemble: str, name: str) -> NDArray[np.float64]:
        """Return a column of probabilities as the ensemble gives them, `[object]`."""
        return self.scores[ensemble][name].to_numpy().astype(np.float64)

    def compound_share(self, ensemble: str) -> float | None:
        """Return the share of compound lenses among lenses that `p_compound` assumes; None without `p_compound`."""
        combiner = self.cards[ensemble].combiner
        return combiner.assumed_compound_share if isinstance(combiner, SoftmaxStack) else None
