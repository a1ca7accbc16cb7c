"""Stamps that keep what networks need of them: the sky of each band and, in a part of a batch, each network input."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.channel import Channel
from scanner.preprocess.network_inputs import Inputs, network_inputs
from scanner.preprocess.sky_levels import SkyLevels
from scanner.vocabulary.geometry import Image, Stamps

_Channels = tuple[Channel, ...]
_Key = tuple[_Channels, int, int | None]
"""Channels of an input, and the two sides of `network_inputs`."""


class PreparedStamps(Mapping[str, Image]):
    """Stamps, band to `[batch, y, x]`, that keep the sky levels that networks measure.

    A `part` keeps network inputs, too, because several networks see the same part. A whole batch does not: inputs take as much
    memory as the stamps.
    """

    def __init__(
        self,
        stamps: Stamps,
        sky: SkyLevels | None = None,
        whole: "tuple[PreparedStamps, NDArray[np.int64]] | None" = None,
    ) -> None:
        """Take stamps, and what is known about their sky; for a part, take the whole, and the rows of the whole in the part."""
        self._stamps, self.sky = stamps, SkyLevels() if sky is None else sky
        self._inputs: dict[_Key, Inputs] = {}
        self._whole = whole

    @classmethod
    def of(cls, stamps: Stamps) -> "PreparedStamps":
        """Return the stamps themselves if they keep their sky, else the same stamps in an object that does."""
        return stamps if isinstance(stamps, PreparedStamps) else cls(stamps)

    @classmethod
    def joined(cls, parts: "Sequence[PreparedStamps]") -> "PreparedStamps":
        """Return the stamps of several batches as those of one, with the sky levels that are known in all of them."""
        stamps = {band: np.concatenate([part[band] for part in parts]) for band in parts[0]}
        return cls(stamps, SkyLevels.joined([part.sky for part in parts]))

    def __getitem__(self, band: str) -> Image:
        return self._stamps[band]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stamps)

    def __len__(self) -> int:
        return len(self._stamps)

    def chosen(self, rows: NDArray[np.int64]) -> "PreparedStamps":
        """Return a copy of the stamps of some rows, with what is known about their sky, but without inputs."""
        return PreparedStamps({band: images[rows] for band, images in self.items()}, self.sky.of(rows))

    def part(self, rows: NDArray[np.int64]) -> "PreparedStamps":
        """Return a copy of the stamps of some rows that keeps its inputs, and takes those that this part of a batch has."""
        return PreparedStamps({band: images[rows] for band, images in self.items()}, self.sky.of(rows), (self, rows))

    def inputs(self, wanted: Sequence[_Channels], n_pixels: int, field_pixels: int | None) -> Mapping[_Channels, Inputs]:
        """Return what `network_inputs` returns; the arrays may be kept, so they must not be changed."""
        if self._whole is None:
            return network_inputs(self, wanted, n_pixels, field_pixels, self.sky)
        keys = {channels: (channels, n_pixels, field_pixels) for channels in wanted}
        missing = [channels for channels, key in keys.items() if self.made(key) is None]
        for channels, inputs in network_inputs(self, missing, n_pixels, field_pixels, self.sky).items():
            self._inputs[keys[channels]] = inputs
        return {channels: self._inputs[key] for channels, key in keys.items()}

    def made(self, key: _Key) -> Inputs | None:
        """Return an input that was made for these rows, or for the whole that they are a part of; None if none was."""
        if key not in self._inputs and self._whole is not None:
            whole, rows = self._whole
            of_whole = whole.made(key)
            if of_whole is not None:
                self._inputs[key] = of_whole[rows]
        return self._inputs.get(key)
