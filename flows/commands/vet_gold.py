"""Find the gold subjects of a catalogue, or make them once for all graders."""

from infra.errors import LensscanError
from infra.progress import Progress
from infra.settings import Settings
from infra.store.storage import is_s3, read_bytes
from scanner.catalogue.paths import gold_uri
from scanner.catalogue.plan import Plan, load_plan
from scanner.networks.card_file import read_card
from scanner.networks.locate import find_scanning_package
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.gold import GoldRole, GoldSet, keep_first
from scanner.sources.survey import EUCLID_MER
from scanner.vocabulary.geometry import GEOMETRIES, Geometry
from scanner.vocabulary.rejections import Rejection

N_GOLD, N_TRAINING = 10, 6
"""Number of subjects that are mixed in, unless the grader says otherwise, and of those that come first."""
_SEED = 20261128
"""Seed of hosts and arcs; all graders see the same."""
_QUICK_BYTES, _QUICK_BYTES_S3 = 2**30, 2**27
"""Largest size of the images that are read without being asked for, on disk and from a store: a few seconds."""


def gold_of(root_uri: str, votes_uri: str, plan_id: str, n: int | None, report: Progress) -> tuple[GoldSet, str]:
    """Return the gold subjects of a catalogue, and why there are none or too few; the reason is empty if all is well.

    Args:
        root_uri: The catalogue's root.
        votes_uri: Root of the votes, where they are kept.
        plan_id: Plan whose tiles hold the hosts.
        n: Number of subjects to mix in; None for `N_GOLD` if they can be made in a few seconds.
        report: Called with the number of subjects that are made.

    Raises:
        VettingError: the file of gold subjects is damaged.
        StorageError: the store of the votes failed.
    """
    if n == 0:
        return GoldSet(), ""
    uri = gold_uri(votes_uri, n or N_GOLD)
    try:
        return GoldSet.decode(uri, read_bytes(uri)), ""
    except FileNotFoundError:
        pass
    try:
        made = _made(root_uri, load_plan(root_uri, plan_id), n, report)
    except (LensscanError, Rejection) as error:
        return GoldSet(), f"{error}"
    wanted = len(_roles(n or N_GOLD))
    few = (
        "" if len(made.subjects) == wanted else f"{len(made.subjects)} of {wanted} could be made: too few galaxies can be hosts"
    )
    return (keep_first(uri, made) if made.subjects else made), few


def _made(root_uri: str, plan: Plan, n: int | None, report: Progress) -> GoldSet:
    if plan.described != EUCLID_MER:
        raise VettingError(f"arcs are simulated for images of Euclid, not of {plan.described.name}")
    geometry = _geometry_of(plan)
    # Imported here: to make them takes numba and lenstronomy, to read them does not.
    from simulation.injection.gold import bytes_to_read, make_gold

    most = _QUICK_BYTES_S3 if is_s3(next(iter(plan.units[0].files.values())).uri) else _QUICK_BYTES
    size = bytes_to_read(plan, _SEED)
    if n is None and size > most:
        raise VettingError(f"their tiles have {size / 1e9:.1f} GB; --gold {N_GOLD} reads them, once for all graders")
    return GoldSet(make_gold(root_uri, plan, geometry, _roles(n or N_GOLD), _SEED, report))


def _geometry_of(plan: Plan) -> Geometry:
    folder = find_scanning_package(plan.ensemble_name, Settings.read().ensembles_dir)
    return GEOMETRIES[read_card(folder).geometry]


def _roles(n: int) -> list[GoldRole]:
    """Return the roles of `n` subjects and of the training, half of each lenses."""
    gold: list[GoldRole] = ["gold_lens" if i % 2 == 0 else "gold_nonlens" for i in range(n)]
    training: list[GoldRole] = ["training_lens" if i % 2 == 0 else "training_nonlens" for i in range(N_TRAINING)]
    return [*training, *gold]
