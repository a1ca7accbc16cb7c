"""A regression corrects a committee's log-odds of a lens by what the networks that look at the candidates say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from infra.frozen import Frozen
from scanner.networks.lens_curve import LensCurve


class LensRegression(Frozen, allow_inf_nan=False):
    """Logistic regression of a lens on the weighted mean of the log-odds of a committee and those of one more network.

    A second opinion may be a part of that mean, too. The weights are not fitted: a regression on all would trust the one that
    knows the simulated population best, and the others may know unfamiliar objects better. The log-odds are those of the
    mixture of objects that the committee is fitted on.
    """

    from_p_lens: float = Field(gt=0, lt=1)
    """Smallest `p_lens` of the committee that is corrected."""
    network_share: float = Field(gt=0, lt=1)
    """Weight of the network in the mean; the committee has the rest, both of what the second opinion leaves."""
    opinion_share: float = Field(default=0.0, ge=0, lt=1, exclude_if=lambda value: value == 0)
    """Weight of the second opinion in the mean; 0: there is none."""
    slope: float = Field(gt=0)
    bias: float
    curve: LensCurve | None = Field(default=None, exclude_if=lambda value: value is None)
    """Corrects the log-odds that the straight line gives; None if these are final."""
    clip: float = Field(gt=0)
    """Largest absolute logit margin of the network that is read."""

    def what_decides(self) -> dict[str, Any]:
        """Return everything that decides the corrected log-odds."""
        return self.model_dump(mode="json")

    def log_odds(
        self, of_committee: NDArray[np.float64], margins: NDArray[np.float64], of_opinion: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return the log-odds of a lens, `[batch]`; arguments as those of `mean_log_odds`."""
        straight = self.slope * self.mean_log_odds(of_committee, margins, of_opinion) + self.bias
        return straight if self.curve is None else self.curve.calibrated(straight)

    def mean_log_odds(
        self, of_committee: NDArray[np.float64], margins: NDArray[np.float64], of_opinion: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return the weighted mean of the log-odds, `[batch]`.

        Args:
            of_committee: The committee's log-odds in the fitted mixture, `[batch]`.
            margins: Logit margins of the network, `[batch, class - 1]`.
            of_opinion: The second opinion's log-odds in the fitted mixture, `[batch]`; None: there is none.

        Raises:
            ValueError: the second opinion has a weight and is not given, or is given without one.
        """
        if (of_opinion is None) != (self.opinion_share == 0):
            raise ValueError(f"a second opinion is needed if its weight is not 0, got the weight {self.opinion_share:g}")
        of_network = np.logaddexp.reduce(np.clip(margins, -self.clip, self.clip), axis=1)
        ours = (1 - self.network_share) * of_committee + self.network_share * of_network
        return np.asarray(ours if of_opinion is None else (1 - self.opinion_share) * ours + self.opinion_share * of_opinion)


def least_looked_at(threshold: float, lens: LensRegression | None) -> float:
    """Return the least `p_lens` of the committee that the candidate network looks at, where candidates begin at `threshold`."""
    return threshold if lens is None else min(threshold, lens.from_p_lens)
