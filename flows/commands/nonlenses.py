"""`lensscan models nonlenses`: the sample of scored non-lenses that lists with a guaranteed purity rest on."""

from typing import Any

import pyarrow.compute as pc

from flows.commands.replaced_card import replace_card
from flows.ensembles import chosen_package, copied, folder_to_extend
from infra.progress import Progress
from infra.settings import Settings
from scanner.catalogue.outcomes import SCORED
from scanner.networks.card_file import read_card
from scanner.networks.engines import resolve_engine
from scanner.networks.nonlens_sample import NonLensTail, with_sample
from simulation.object_blocks import nonlenses
from simulation.products.dataset import per_object
from simulation.scored_objects import score_simulated
from training.errors import TrainingError
from training.evaluation.stated_data import same_objects


def sample_nonlenses(
    ensemble: str | None,
    n: int,
    seed: int,
    scores_uri: str | None,
    out: str | None,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Score simulated non-lenses, and write the highest scores beside the card of the ensemble, or of a copy in `out`.

    Raises:
        PackageError: the ensemble cannot be used, or it is a shipped one and `out` is missing.
        TrainingError: the folder is on S3, is a file, or holds another ensemble.
        SimulationError: the folder of the scores holds those of other objects.
    """
    settings, package = Settings.read(), chosen_package(ensemble)
    card = read_card(package)
    folder = folder_to_extend(package, card, out)
    spec = nonlenses(n, seed, card.geometry)
    if same_objects([per_object(spec)], card.training_data.simulations):
        raise TrainingError(f"seed must be one that {card.name} was not trained or calibrated with, got {seed}")
    where = scores_uri or f"nonlenses-{card.name}"
    table = score_simulated(spec, package, resolve_engine(settings.engine), where, workers or settings.workers, progress)
    scored = table.filter(pc.equal(table["status"], SCORED))
    tail = NonLensTail.of(scored["p_lens"].to_numpy(), card.threshold("deep"))
    described = f"n={n}, seed={seed}, geometry {card.geometry}, preset euclid"
    latest = copied(package, card, folder)
    replace_card(folder, latest, with_sample(folder, latest, tail, described))
    return {
        "ensemble": card.name,
        "non-lenses": tail.n,
        "at or above the threshold": len(tail.p_lens),
        "folder": str(folder),
    }
