"""How far to believe an ensemble's maps: a section of its CARD.md."""

from scanner.networks.card import EnsembleCard
from training.evaluation.arc_truth import LEAST_ARC_SNR, LEAST_CONTRAST
from training.evaluation.map_measures import MOST_ALIKE, MethodCheck

_NAMES = {"guided_grad_cam": "Guided Grad-CAM", "grad_cam": "Grad-CAM", "occlusion": "occlusion"}
_SURE_OF_A_SHARE = 0.98
"""Half of a 95 % interval, times the root of n, where it is widest: of a share of a half."""
_COLUMNS = (
    "network",
    "map",
    "on the arc",
    "untrained",
    "empty",
    "mass on the arc",
    "ranks as untrained",
    "with added noise",
    "in other networks",
    "insertion",
    "deletion",
    "does not pass",
)
_HOW = f"""\
The arc: where lensed light in VIS exceeds the sky's sigma, and {LEAST_CONTRAST:.0%} of the lens galaxy's own light. On the arc:
share whose highest place is there, or for the Grad-CAMs within 0.2 arcsec of it; untrained: the same of networks with random
weights. Empty: share of maps that are the same everywhere, which count as misses. Mass: share of the positive relevance on the
arc. Ranks: mean rank correlation in the middle 8 arcsec, with untrained networks' maps, with the map of the same lens with
half as much noise added to what it has (white, half the sky's sigma), and with the other networks' maps of it (on cells of
0.4 arcsec). Insertion and deletion: mean probability of a lens while an image is uncovered or covered, most relevant pixels
first. In brackets the same of another lens's map, which is as smooth and as near to the middle; of the mass, the share of
pixels on the arc. After a semicolon: of "on the arc", what a map hits that always points at the middle; of insertion and
deletion, the map's cells (of the Grad-CAMs, pixels) in random order, which leaves nothing of the shapes that networks know.

Whether networks that differ in the seed of training alone have the same maps is not measured where an ensemble has no two such
networks: "in other networks" is then the agreement of networks that are built differently or see other bands or scales.

What does not pass: pointing, where another's map or the middle hits as often; untrained pointing, where untrained networks hit
more often than others' maps of theirs; untrained ranks, above {MOST_ALIKE}: such maps show the light, whatever was learnt;
insertion and deletion, where another's map does as well. All but the ranks within 95 % of chance, object by object."""


def maps_section(card: EnsembleCard) -> list[str]:
    """Lines of Markdown; none where nobody checked the maps."""
    checks = [check for network in card.networks for check in MethodCheck.of_metrics(network.name, network.metrics)]
    if not checks:
        return []
    rows = [list(_COLUMNS), ["---"] * len(_COLUMNS), *map(_cells, checks)]
    sizes = sorted({n for check in checks for n in (check.n, check.n_curves)}, reverse=True)
    unsure = " and ".join(f"{_SURE_OF_A_SHARE * n**-0.5:.2f} among {n}" for n in sizes)
    return [
        "## Do its maps mean anything?",
        "",
        f"By lensscan models check-maps, on simulated lenses with known bright arcs (S/N of {LEAST_ARC_SNR:g} or more):",
        f"{checks[0].n} of them, the first {checks[0].n_curves} for occlusion, insertion and deletion. By chance a share may",
        f"be off by {unsure} (95 %).",
        "",
        _HOW,
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _cells(check: MethodCheck) -> list[str]:
    networks = ""
    if check.correlation_networks is not None and check.correlation_networks_others is not None:
        networks = _beside(check.correlation_networks, check.correlation_networks_others)
    return [
        check.network,
        _NAMES[check.method],
        _beside(check.hits, check.hits_of_others, check.hits_of_middle),
        _beside(check.hits_randomised, check.hits_randomised_of_others),
        f"{check.empty:.2f}",
        _beside(check.mass, check.mass_at_random),
        f"{check.correlation_randomised:.2f}",
        _beside(check.correlation_noise, check.correlation_others),
        networks,
        _beside(check.insertion_auc, check.insertion_auc_others, check.insertion_auc_random),
        _beside(check.deletion_auc, check.deletion_auc_others, check.deletion_auc_random),
        ", ".join(check.failed) or "-",
    ]


def _beside(value: float, *chances: float) -> str:
    """`0.84 (0.34; 0.09)`."""
    return f"{value:.2f} ({'; '.join(f'{chance:.2f}' for chance in chances)})"
