"""Test-time turns: a network scores an image in several orientations, and the mean of its logits counts."""

import numpy as np
from numpy.typing import NDArray

from scanner.networks.ensemble import Engine


class TurnedEngine:
    """An engine that averages the logits of quarter turns of its input, and from eight turns on of their mirror images too."""

    def __init__(self, engine: Engine, turns: int) -> None:
        """Take an engine, and 4 or 8 orientations."""
        if turns not in {4, 8}:
            raise ValueError(f"turns must be 4 or 8, got {turns}")
        self._engine, self._turns = engine, turns

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`."""
        total = np.zeros(1, np.float64)
        for turn in range(self._turns):
            turned = np.rot90(inputs, turn % 4, (-2, -1))
            seen = turned[..., ::-1] if turn >= 4 else turned
            total = total + self._engine.logits(np.ascontiguousarray(seen))
        return np.asarray(total / self._turns, np.float32)
