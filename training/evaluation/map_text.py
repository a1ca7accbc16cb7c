"""Section of CARD.md on the checks of an ensemble's maps."""

from scanner.networks.card import EnsembleCard
from training.evaluation.arc_truth import LEAST_ARC_SNR, LEAST_CONTRAST
from training.evaluation.map_measures import MOST_ALIKE, MethodCheck

_NAMES = {"guided_grad_cam": "Guided Grad-CAM", "grad_cam": "Grad-CAM", "occlusion": "occlusion"}
_SURE_OF_A_SHARE = 0.98
"""Half a 95 % interval of a share, times the root of n, at a share of one half, where the interval is widest."""
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
    "failed checks",
)
_HOW = f"""\
Arc: pixels where lensed light in VIS exceeds the sky's sigma, and {LEAST_CONTRAST:.0%} of the lens galaxy's own light. On the
arc: share of maps with the highest pixel there, or for the Grad-CAMs within 0.2 arcsec; untrained: the same for networks with
random weights. Empty: share of constant maps, which count as misses. Mass: share of the positive relevance on the arc. Ranks:
mean rank correlation in the middle 8 arcsec, with untrained networks' maps, with the map of the same lens with half as much
noise added to its noise (white, half the sky's sigma), and with the other networks' maps of the same lens (on cells of 0.4
arcsec). Insertion and deletion: mean lens probability while an image is uncovered or covered, most relevant pixels first.
In brackets: the same with another lens's map, which is as smooth and as near to the middle; for the mass, the share of pixels
on the arc. After a semicolon: for "on the arc", the hits of a map that always points at the middle; for insertion and
deletion, the map's cells (for the Grad-CAMs, pixels) in random order, which keeps no shapes that networks respond to.

The agreement of networks that differ in the seed of training alone is not measured if an ensemble has no two such networks:
"in other networks" is then the agreement of networks with other architectures, bands or scales.

Failed checks: pointing, if another's map or the middle hits as often; untrained pointing, if untrained networks' maps hit more
often than their maps of other lenses; untrained ranks, above {MOST_ALIKE}: such maps show the light, whatever was learnt;
insertion and deletion, if another's map does as well. All but the ranks are tested at 95 % confidence, object by object."""


def maps_section(card: EnsembleCard) -> list[str]:
    """Return lines of Markdown; no lines if the maps were not checked."""
    checks = [check for network in card.networks for check in MethodCheck.of_metrics(network.name, network.metrics)]
    if not checks:
        return []
    rows = [list(_COLUMNS), ["---"] * len(_COLUMNS), *map(_cells, checks)]
    sizes = sorted({n for check in checks for n in (check.n, check.n_curves)}, reverse=True)
    unsure = " and ".join(f"{_SURE_OF_A_SHARE * n**-0.5:.2f} among {n}" for n in sizes)
    return [
        "## Checks of its maps",
        "",
        f"Checked by lensscan models check-maps on simulated lenses with known bright arcs (S/N of {LEAST_ARC_SNR:g} or more):",
        f"{checks[0].n} lenses, the first {checks[0].n_curves} for occlusion, insertion and deletion. By chance a share may",
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
    """Format a value with its comparisons, such as `0.84 (0.34; 0.09)`."""
    return f"{value:.2f} ({'; '.join(f'{chance:.2f}' for chance in chances)})"
