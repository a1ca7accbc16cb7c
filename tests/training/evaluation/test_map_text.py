"""Tests of the section on maps, with figures set by hand."""

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from tests.training.evaluation.hand_checks import check_of
from training.evaluation.map_measures import METHODS
from training.evaluation.map_text import maps_section


def card_with(checks):
    """Return a card of three networks that has these figures alone."""
    card = read_card(SHIPPED_DIR / "mer3-sim")
    metrics = {network.name: {} for network in card.networks}
    for check in checks:
        metrics[check.network] |= check.metrics()
    networks = [network.model_copy(update={"metrics": metrics[network.name]}) for network in card.networks]
    return card.model_copy(update={"networks": tuple(networks)})


def rows(section):
    return [line.strip("| ").split(" | ") for line in section if line.startswith(("| compact", "| equivariant"))]


def test_maps_that_were_not_checked_have_no_section():
    assert maps_section(card_with([])) == []


def test_each_network_and_method_has_a_row():
    names = ("compact-sky", "equivariant-sky")
    section = maps_section(card_with([check_of(name, method) for name in names for method in METHODS]))
    assert section[0] == "## Checks of its maps"
    shown = [row[:2] for row in rows(section)]
    assert shown == [[name, title] for name in names for title in ("Guided Grad-CAM", "Grad-CAM", "occlusion")]
    # 0.98 / sqrt(12) and 0.98 / sqrt(6).
    assert "be off by 0.28 among 12 and 0.40 among 6 (95 %)." in section


def test_figures_stand_beside_those_of_chance():
    agreement = {"correlation_networks": 0.7, "correlation_networks_others": 0.2}
    (row,) = rows(maps_section(card_with([check_of("compact-sky", **agreement)])))
    assert row[2:] == [
        "1.00 (0.10; 0.20)",
        "0.25 (0.15)",
        "0.03",
        "0.90 (0.04)",
        "0.06",
        "0.80 (0.11)",
        "0.70 (0.20)",
        "0.95 (0.40; 0.50)",
        "0.05 (0.60; 0.55)",
        "-",
    ]


def test_failed_checks_are_listed():
    check = check_of("compact-sky", correlation_randomised=0.3, deletion_auc=0.7)
    (row,) = rows(maps_section(card_with([check])))
    assert row[-1] == "untrained ranks, deletion"
    assert row[8] == ""
