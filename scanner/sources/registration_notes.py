"""Say in a row that its bands do not lie on top of each other: a note in its detail, and a distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.registration import registration
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import Geometry


@dataclass(frozen=True)
class BatchNotes:
    """Notes and distances of the cutouts of a batch, `[n]` each."""

    notes: Sequence[tuple[str, ...]]
    shift_arcsec: NDArray[np.float32]
    """Largest distance of a band from VIS; NaN where it was not checked, or is not certain."""

    def of(self, chosen: NDArray[np.bool_]) -> "BatchNotes":
        """Return those of some cutouts, by a mask `[n]`."""
        return BatchNotes(list(compress(self.notes, chosen)), self.shift_arcsec[chosen])


def with_registration(batch: CutoutBatch, geometry: Geometry, is_checked: NDArray[np.bool_]) -> BatchNotes:
    """Return the notes of a batch; rows with misregistered bands among those that `is_checked`, `[n]`, names get one more."""
    shift = np.full(len(batch.rows), np.nan, np.float32)
    if not is_checked.any():
        return BatchNotes(batch.notes, shift)
    found = registration({band: images[is_checked] for band, images in batch.stamps.items()}, geometry)
    shift[is_checked] = found.shift_arcsec
    notes = iter(found.notes)
    more = [next(notes) if checked else "" for checked in is_checked]
    return BatchNotes([(*of, note) if note else of for of, note in zip(batch.notes, more, strict=True)], shift)
