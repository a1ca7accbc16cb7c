"""Test-time turns: a network scores an image in several orientations, and the mean of its logits counts."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from scanner.networks.ensemble import Engine

_QUARTER_TURNS = [(turn, False) for turn in range(4)]
_ORIENTATIONS = {
    2: [(0, False), (0, True)],
    4: _QUARTER_TURNS,
    8: [*_QUARTER_TURNS, *((turn, True) for turn, _ in _QUARTER_TURNS)],
}
"""Number of quarter turns, and whether the turned image is then mirrored, by the number of orientations."""


class TurnedEngine:
    """An engine that averages the logits of 2 orientations (as it is, and mirrored), 4 (quarter turns) or 8 (both)."""

    def __init__(self, engine: Engine, turns: int) -> None:
        """Take an engine, and the number of orientations."""
        if turns not in _ORIENTATIONS:
            raise ValueError(f"turns must be 2, 4 or 8, got {turns}")
        self._engine, self._orientations = engine, _ORIENTATIONS[turns]

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn inputs `[batch, channel, y, x]` into logits `[batch, class]`."""
        return self._mean(self._engine.logits(seen) for seen in self._seen(inputs))

    def logits_and_features(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the means over the orientations: logits `[batch, class]`, and inputs of the last layer `[batch, feature]`."""
        logits, features = zip(*(self._engine.logits_and_features(seen) for seen in self._seen(inputs)), strict=True)
        return self._mean(logits), self._mean(features)

    def _seen(self, inputs: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        for turn, is_mirrored in self._orientations:
            turned = np.rot90(inputs, turn, (-2, -1))
            yield np.ascontiguousarray(turned[..., ::-1] if is_mirrored else turned)

    def _mean(self, parts: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
        total = np.zeros(1, np.float64)
        for part in parts:
            total = total + part
        return np.asarray(total / len(self._orientations), np.float32)
