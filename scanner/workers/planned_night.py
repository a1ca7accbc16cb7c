"""The first step of a scan: check its package, freeze its plan, and hold the plan from readers if a gate is asked for."""

from dataclasses import dataclass
from pathlib import Path

from infra.engine_name import EngineName
from infra.settings import PRIVATE_RAY
from infra.store.folders import no_empty_folder
from infra.store.storage import absolute, probe
from scanner.catalogue.gate import begin
from scanner.catalogue.plan import Plan, freeze
from scanner.catalogue.shown import with_lower_threshold
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import check_weights, read_card
from scanner.scan.request import ScanRequest, plan_scan, shown_threshold
from scanner.workers.pools import is_local


@dataclass(frozen=True)
class PlannedNight:
    """A frozen plan, the ensemble that it is scanned with, and the threshold with which readers are shown it."""

    plan: Plan
    root_uri: str
    """Absolute URI of the catalogue."""
    package: Path
    card: EnsembleCard
    threshold: float
    """Smallest `p_lens` of the candidates that are shown."""


def plan_night(request: ScanRequest, root_uri: str, ray_address: str | None, *, gate: bool) -> PlannedNight:
    """Freeze the plan of a request in the catalogue at `root_uri`; a plan that was held once is held again without `gate`.

    Raises:
        LensscanError: no input is found, the store has no conditional writes, or a package does not match its card.
    """
    root_uri = absolute(root_uri)
    with no_empty_folder(root_uri):
        return _planned(request, root_uri, ray_address, gate=gate)


def _planned(request: ScanRequest, root_uri: str, ray_address: str | None, *, gate: bool) -> PlannedNight:
    probe(root_uri)
    package = request.package.absolute()
    # Damaged weights are found before workers start; the workers check them again, and the networks too.
    card = read_card(package)
    check_weights(package, card)
    plan = with_lower_threshold(plan_scan(request, root_uri), root_uri)
    if ray_address in {None, PRIVATE_RAY} and not is_local(plan.units, ray_address):
        _check_engine(request.engine)
    freeze(plan, root_uri)
    night = PlannedNight(plan, root_uri, package, card, shown_threshold(request))
    # Before the seal: a command that finishes an interrupted scan must know whether the plan waits, and what is shown of it.
    begin(plan, root_uri, night.threshold, card.purity_table, gate=gate)
    return night


def _check_engine(engine: EngineName) -> None:
    """Find a missing engine before Ray starts; the workers of a cluster may have other engines than this machine."""
    from scanner.networks.engines import resolve_engine

    resolve_engine(engine)
