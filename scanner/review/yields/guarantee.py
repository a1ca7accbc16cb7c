"""Find the list of a night with a guaranteed purity: scores from the catalogue, the calibration from the package."""

from pathlib import Path

from infra.progress import Progress, no_progress
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import find_scanning_package
from scanner.networks.nonlens_sample import NonLensTail, read_sample
from scanner.review.yields.conformal import GuaranteedList
from scanner.review.yields.night import NightScores, YieldError, list_with_guarantee, read_night


def guaranteed(
    root_uri: str, night: str | None, level: float, ensembles_dir: Path, progress: Progress = no_progress
) -> GuaranteedList:
    """Return the list of a night whose false discovery rate is held at a level.

    Args:
        root_uri: The catalogue's root.
        night: Label of the night; None if the catalogue has one night.
        level: Largest expected share of non-lenses in the list.
        ensembles_dir: Folder of the user's ensemble packages.
        progress: Called with (units read, units in all).

    Raises:
        YieldError: the night's ensemble or its calibration sample is not at hand, or no list of this night has the guarantee.
        LensscanError: the catalogue cannot be read.
    """
    scores = read_night(root_uri, night, progress)
    return list_with_guarantee(scores, sample_for(scores, ensembles_dir), level)


def sample_for(scores: NightScores, ensembles_dir: Path) -> NonLensTail | None:
    """Return the calibration sample of the ensemble that scored a night; None if its package has none.

    Raises:
        YieldError: this machine has no such ensemble, or other weights by its name.
        PackageError: the sample is damaged.
    """
    try:
        folder = find_scanning_package(scores.ensemble_name, ensembles_dir)
    except PackageError as error:
        raise YieldError(f"fdr needs the ensemble that scored night {scores.night}: {error}") from error
    card = read_card(folder)
    if card.sha256 != scores.ensemble_sha256:
        raise YieldError(
            f"fdr needs the ensemble that scored night {scores.night}, {scores.ensemble_name} {scores.ensemble_sha256[:12]}; "
            f"{folder} holds {card.sha256[:12]}"
        )
    return read_sample(folder, card)
