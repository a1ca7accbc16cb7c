"""A rising curve from the log-odds of a lens that a regression gives to calibrated ones."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from infra.frozen import Frozen


class LensCurve(Frozen, allow_inf_nan=False):
    """Straight pieces between knots, and a straight line beyond either end; objects keep their order."""

    at: tuple[float, ...] = Field(min_length=1)
    """Log-odds of each knot, ascending."""
    becomes: tuple[float, ...]
    """Calibrated log-odds at each knot, ascending."""
    slopes: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    """Slope below the first knot, and above the last."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if len(self.becomes) != len(self.at):
            raise ValueError(f"becomes must hold {len(self.at)} numbers, one for each knot, got {len(self.becomes)}")
        for name, values in {"at": self.at, "becomes": self.becomes}.items():
            if np.any(np.diff(values) <= 0):
                raise ValueError(f"{name} must ascend, got {values}")
        return self

    def calibrated(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated log-odds, one for each of `[object]`."""
        below = np.minimum(log_odds - self.at[0], 0.0) * self.slopes[0]
        above = np.maximum(log_odds - self.at[-1], 0.0) * self.slopes[1]
        return np.asarray(below + np.interp(log_odds, self.at, self.becomes) + above)
