"""`lensscan models reference`: what embeddings, anomalies and drift of an ensemble are measured against."""

from collections.abc import Sequence
from typing import Any

from flows.commands.replaced_card import replace_card
from flows.ensembles import chosen_package, copied, folder_to_extend
from infra.progress import Progress
from infra.settings import Settings
from scanner.networks.card import FeatureReferenceCard
from scanner.networks.card_file import read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.feature_reference import REFERENCE_FILE, with_reference
from scanner.networks.package import load_scorer
from training.evaluation.unknown_shards import unknown_footers
from training.feature_reference import describe, fit_reference, importance_of, is_lens


def make_reference(
    ensemble: str | None, shards: Sequence[str], out: str | None, description: str | None, progress: Progress
) -> dict[str, Any]:
    """Score shards, and write the reference beside the card of the ensemble, or of a copy in `out`.

    Raises:
        PackageError: the ensemble cannot be used, or it is a shipped one and `out` is missing.
        TrainingError: the shards cannot be used, the ensemble was trained or calibrated on some, or the networks describe too
            few of their objects; or the folder is on S3, is a file, or holds another ensemble.
    """
    package = chosen_package(ensemble)
    card = read_card(package)
    folder = folder_to_extend(package, card, out)
    for uri in shards:
        unknown_footers(uri, card, "make its reference from")
    scorer = load_scorer(package, resolve_engine(Settings.read().engine), checks_pixels=False, features=True)
    parts = describe(scorer, shards, progress)
    reference = fit_reference(parts, importance_of(package, card))
    about = FeatureReferenceCard(
        file=REFERENCE_FILE,
        sha256="0" * 64,
        ensemble_sha256=card.lens_sha256,
        n_objects=sum(int(part.is_seen.sum()) for part in parts),
        n_natural=int((~is_lens(parts[0].kinds)).sum()),
        description=description or ", ".join(shards),
    )
    latest = copied(package, card, folder)
    replace_card(folder, latest, with_reference(folder, latest, reference, about))
    return {
        "ensemble": card.name,
        "objects": sum(len(part.p_lens) for part in parts),
        "described by the networks": about.n_objects,
        "folder": str(folder),
    }
