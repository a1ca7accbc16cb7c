"""A regression corrects a committee's log-odds of a lens by what the network that looks at the candidates says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from infra.frozen import Frozen
from scanner.networks.combiner import Combined, LogitMargins, SoftmaxStack
from scanner.networks.lens_curve import LensCurve


class LensRegression(Frozen, allow_inf_nan=False):
    """Logistic regression of a lens on the weighted mean of the log-odds of a committee and those of one more network.

    The weights are not fitted: a regression on both would trust the one that knows the simulated population best, and the other
    may know unfamiliar objects better. The log-odds are those of the mixture of objects that the committee is fitted on.
    """

    from_p_lens: float = Field(gt=0, lt=1)
    """Smallest `p_lens` of the committee that is corrected."""
    network_share: float = Field(gt=0, lt=1)
    """Weight of the network in the mean; the committee has the rest."""
    slope: float = Field(gt=0)
    bias: float
    curve: LensCurve | None = Field(default=None, exclude_if=lambda value: value is None)
    """Corrects the log-odds that the straight line gives; None if these are final."""
    clip: float = Field(gt=0)
    """Largest absolute logit margin of the network that is read."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the corrected log-odds."""
        return self.model_dump(mode="json")

    def log_odds(self, of_committee: NDArray[np.float64], margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of a lens, `[batch]`.

        Args:
            of_committee: The committee's log-odds in the fitted mixture, `[batch]`.
            margins: Logit margins of the network, `[batch, class - 1]`.
        """
        straight = self.slope * mean_log_odds(of_committee, margins, self.network_share, self.clip) + self.bias
        return straight if self.curve is None else self.curve.calibrated(straight)


def least_looked_at(threshold: float, lens: LensRegression | None) -> float:
    """Return the least `p_lens` of the committee that the candidate network looks at, where candidates begin at `threshold`."""
    return threshold if lens is None else min(threshold, lens.from_p_lens)


def mean_log_odds(
    of_committee: NDArray[np.float64], margins: NDArray[np.float64], network_share: float, clip: float
) -> NDArray[np.float64]:
    """Return the weighted mean of a committee's log-odds and those of a network with clipped margins, `[batch]`."""
    of_network = np.logaddexp.reduce(np.clip(margins, -clip, clip), axis=1)
    return np.asarray((1 - network_share) * of_committee + network_share * of_network)


def corrected(
    committee: SoftmaxStack, lens: LensRegression, margins: LogitMargins, of_network: NDArray[np.float64]
) -> Combined:
    """Return a committee's scores with corrected log-odds of a lens, for margins of its networks and of one more."""
    return committee.combine(margins, lens.log_odds(committee.fitted_log_odds(margins), of_network))
