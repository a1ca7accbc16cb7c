"""Sky levels of a batch of stamps, kept for all networks that read the stamps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.sky import LevelAndSigma, sky_level_and_sigma


class SkyLevels:
    """Sky of the images of some objects, measured where a network first needs it."""

    def __init__(self, known: Mapping[tuple[str, int], LevelAndSigma] | None = None) -> None:
        """Take what is known, `[batch]` each, by band and by the side that the images were resized to."""
        self.known = dict(known or {})

    @classmethod
    def joined(cls, parts: "Sequence[SkyLevels]") -> "SkyLevels":
        """Return the levels of several batches as those of one, where they are known in all of them."""
        of_parts = [part.known for part in parts]
        in_all = [key for key in of_parts[0] if all(key in known for known in of_parts)]
        return cls({key: _concatenated([known[key] for known in of_parts]) for key in in_all})

    def of(self, rows: NDArray[np.int64]) -> "SkyLevels":
        """Return the levels of some rows."""
        return SkyLevels({key: (level[rows], sigma[rows]) for key, (level, sigma) in self.known.items()})

    def measured(self, band: str, images: NDArray[np.floating[Any]]) -> LevelAndSigma:
        """Return `sky_level_and_sigma` of the images of a band, `[batch, y, x]`, and keep it for images of that side."""
        key = band, images.shape[-1]
        if key not in self.known:
            self.known[key] = sky_level_and_sigma(images)
        return self.known[key]


def _concatenated(parts: Sequence[LevelAndSigma]) -> LevelAndSigma:
    levels, sigmas = zip(*parts, strict=True)
    return np.concatenate(levels), np.concatenate(sigmas)
