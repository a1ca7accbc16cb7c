"""A trained ensemble as a teacher: networks learn its probabilities beside the labels (Hinton, Vinyals & Dean 2015).

A small network learns more from the probabilities of a large ensemble than from labels: they say how alike two kinds look.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.engine_name import EngineName
from infra.progress import Progress
from scanner.networks.card_file import read_card
from scanner.networks.combiner import SoftmaxStack
from scanner.networks.errors import PackageError
from scanner.vocabulary.kinds import KINDS
from training.dataset import Dataset
from training.errors import TrainingError
from training.limits import LENSES_ALONE
from training.markers import read_marker, write_marker


def teacher_file(work: Path) -> Path:
    """Return the file of the teacher's probabilities, `[object, kind]`, in the order of the prepared data set."""
    return work / "teacher.npy"


def ask_teacher(
    package: Path, shards_uri: str, dataset: Dataset, work: Path, progress: Progress, engine: EngineName = "auto"
) -> None:
    """Write the probabilities that an ensemble gives the objects of a data set; a second call finds them there.

    They are those of the mixture that its combiner was fitted on, without an assumed prevalence.

    Args:
        package: Folder of the ensemble; of a cascade, the committee alone is asked.
        shards_uri: Shards that the data set was prepared from.
        dataset: The data set.
        work: Folder of the training.
        progress: Called with (objects scored, objects in all).
        engine: Engine that runs the networks.

    Raises:
        TrainingError: the ensemble cannot be read, does not separate the kinds or has learnt from lenses alone, or the shards
            have changed.
    """
    # Imported here, because workers need the targets only, and scikit-learn takes more than a second.
    from training.margins import read_margins

    try:
        card = read_card(package)
        combiner = card.combiner
        if LENSES_ALONE in card.limits:
            raise TrainingError(f"{package}: a teacher must have learnt from non-lenses too, this one has from lenses alone")
        if not isinstance(combiner, SoftmaxStack):
            raise TrainingError(f"{package}: a teacher must separate the kinds, this ensemble gives p_lens alone")
        asked = {"teacher": card.lens_sha256, "data": dataset.digest}
        note = teacher_file(work).with_suffix(".json")
        if read_marker(note) == asked:
            return
        networks = {network.name: (package, network) for network in card.networks}
        margins = read_margins(networks, shards_uri, progress, engine)
    except PackageError as error:
        raise TrainingError(str(error)) from error
    if not np.array_equal(margins.kinds, dataset.kinds):
        raise TrainingError(f"{shards_uri}: the shards have changed since they were prepared for training")
    note.unlink(missing_ok=True)
    np.save(teacher_file(work), combiner.assuming(None, None).probabilities(margins.by_network).astype(np.float32))
    # Written last: probabilities without it are incomplete.
    write_marker(note, asked)


def taught(dataset: Dataset, work: Path, share: float) -> Dataset:
    """Return the data set with targets that mix the teacher's probabilities, by this share, with the labels."""
    probabilities: NDArray[np.float32] = np.load(teacher_file(work))
    labels = np.eye(len(KINDS), dtype=np.float32)[dataset.kinds]
    return replace(dataset, kind_targets=np.float32(share) * probabilities + np.float32(1 - share) * labels)
