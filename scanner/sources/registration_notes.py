"""Note in a row's detail that its bands do not lie on top of each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.preprocess.registration import registration_notes
from scanner.sources.batches import CutoutBatch
from scanner.vocabulary.geometry import Geometry


def with_registration(batch: CutoutBatch, geometry: Geometry, is_checked: NDArray[np.bool_]) -> Sequence[tuple[str, ...]]:
    """Return the notes of a batch; rows with misregistered bands among those that `is_checked`, `[n]`, names get one more."""
    if not is_checked.any():
        return batch.notes
    found = iter(registration_notes({band: images[is_checked] for band, images in batch.stamps.items()}, geometry))
    more = [next(found) if checked else "" for checked in is_checked]
    return [(*notes, note) if note else notes for notes, note in zip(batch.notes, more, strict=True)]
