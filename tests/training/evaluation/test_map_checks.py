"""Tests of map checks, on networks and maps whose evidence is known."""

from statistics import stdev

import numpy as np
import pytest

from scanner.explain.occlusion import Masks
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.preprocess.channel import channels
from scanner.vocabulary.geometry import CHALLENGE
from tests.scanner.ensembles import SPECS, write_test_package
from tests.training.evaluation.scenes import CARD, light_meter, scene
from training.errors import TrainingError
from training.evaluation.map_checks import _pointing, check_ensemble_maps, check_network_maps, with_noise
from training.evaluation.map_measures import METHODS, CheckSize
from training.evaluation.relevance import Cells

SIZE = CheckSize(n_objects=12, n_occluded=6, n_randomised=2)
TINY = CheckSize(n_objects=3, n_occluded=2, n_randomised=1, n_steps=2)


@pytest.fixture(scope="module")
def of_light():
    stamps, truth = scene(12)
    steps = []
    rng = np.random.default_rng(3)
    checks, maps = check_network_maps(light_meter(), CARD, stamps, truth, rng, SIZE, on_step=lambda: steps.append(1))
    assert len(steps) == SIZE.n_steps_a_network
    return {check.method: check for check in checks}, maps


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_a_network_that_uses_the_arc_pass(of_light, method):
    check = of_light[0][method]
    assert check.failed == ()
    assert (check.n, check.n_curves) == ((6, 6) if method == "occlusion" else (12, 6))
    assert check.hits == 1
    assert check.hits_of_others < 0.3
    assert check.hits_of_middle < 0.3
    assert check.hits_at_random < 0.05
    assert check.empty == 0
    # Random weights give random maps.
    assert abs(check.correlation_randomised) < 0.15
    assert check.correlation_noise > check.correlation_others + 0.3
    assert check.insertion_auc > 0.9 > check.insertion_auc_random + 0.1
    assert check.deletion_auc < 0.1 < check.deletion_auc_random - 0.1
    assert check.insertion_auc > check.insertion_auc_others


def test_all_relevance_lies_on_the_arc(of_light):
    checks, maps = of_light
    assert checks["guided_grad_cam"].mass == checks["grad_cam"].mass == pytest.approx(1)
    # A mask of 8 x 8 pixels is wider than the arc.
    assert 0.3 < checks["occlusion"].mass < 1
    assert maps["occlusion"].shape == (6, 24, 24)


def test_equal_seeds_give_equal_figures(of_light):
    stamps, truth = scene(12)
    again, other = (check_network_maps(light_meter(), CARD, stamps, truth, np.random.default_rng(s), SIZE)[0] for s in (3, 4))
    assert again == list(of_light[0].values())
    assert other != again


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Return a checked package of two one-band networks with random weights: 66 pixels of 0.3, 100 of 0.2 arcsec."""
    folder = tmp_path_factory.mktemp("packages") / "pack"
    write_test_package(folder, (SPECS[0], NetworkSpec("other", "compact", channels("min_max", "VIS"))))
    stamps, truth = scene(3, CHALLENGE)
    steps, rng = [], np.random.default_rng(1)
    with pytest.MonkeyPatch.context() as patched:
        # The paper's masks, of one pixel, would take seconds.
        patched.setattr("training.evaluation.relevance.MASKS", {"ou66": Masks(6, 6), "compact": Masks(4, 4)})
        checks = check_ensemble_maps(
            folder, read_card(folder), stamps, truth, rng, TINY, progress=lambda *step: steps.append(step)
        )
    return folder, checks, steps


def test_networks_with_different_input_pixels_are_compared(package):
    folder, checks, steps = package
    assert [(check.network, check.method) for check in checks.checks] == [(n, m) for n in ("OU-H", "other") for m in METHODS]
    assert steps == [(i + 1, 12) for i in range(12)]
    agreement = [check.correlation_networks for check in checks.checks]
    assert agreement[:3] == pytest.approx(agreement[3:])
    assert checks.n_bright_lenses == 3
    stamps, truth = scene(1, CHALLENGE)
    with pytest.raises(TrainingError, match="at least 2 lenses with bright arcs, got 1"):
        check_ensemble_maps(folder, read_card(folder), stamps, truth, np.random.default_rng(1), TINY)


def test_figures_of_pointing_by_brute_force(rng):
    """Compute the figures object by object."""
    n, n_pixels, slack = 30, 12, 1
    cells = Cells(Masks(2, 2), slack)
    truth = rng.random((n, n_pixels, n_pixels)) < 0.04
    trained, *untrained = rng.random((4, n, 6, 6))
    trained[3] = trained[7] = 1
    untrained[1][5] = 0
    figures = _pointing(trained, untrained, cells, truth)

    def hit(map_, mask):
        y, x = np.unravel_index(map_.argmax(), map_.shape)
        about = mask[max(0, 2 * (y - slack)) : 2 * (y + slack + 1), max(0, 2 * (x - slack)) : 2 * (x + slack + 1)]
        return bool(about.any()) and map_.min() < map_.max()

    at_middle = np.zeros((6, 6))
    at_middle[3, 3] = 1
    own = [hit(trained[i], truth[i]) for i in range(n)]
    of_others = [hit(trained[i - 1], truth[i]) for i in range(n)]
    of_middle = [hit(at_middle, truth[i]) for i in range(n)]
    by_chance = [np.mean([hit(maps[i], truth[i]) for maps in untrained]) for i in range(n)]
    by_chance_of_others = [np.mean([hit(maps[i - 1], truth[i]) for maps in untrained]) for i in range(n)]
    best = max((of_others, of_middle), key=sum)
    paired = [float(a) - float(b) for a, b in zip(own, best, strict=True)]
    paired_by_chance = [a - b for a, b in zip(by_chance, by_chance_of_others, strict=True)]
    expected = {
        "hits": np.mean(own),
        "hits_of_others": np.mean(of_others),
        "hits_of_middle": np.mean(of_middle),
        "hits_error": stdev(paired) / n**0.5,
        "hits_randomised": np.mean(by_chance),
        "hits_randomised_of_others": np.mean(by_chance_of_others),
        "hits_randomised_error": stdev(paired_by_chance) / n**0.5,
        "empty": 2 / n,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert 0 < figures["hits_error"] < 0.2


def test_added_noise_is_half_the_sky_sigma(rng):
    stamps = {"VIS": rng.normal(5, 0.3, (4, 100, 100)).astype(np.float32)}
    added = with_noise(stamps, rng)["VIS"] - stamps["VIS"]
    assert added.std() == pytest.approx(0.15, rel=0.05)
    assert abs(added.mean()) < 0.01


def test_a_single_network_has_no_agreement_figures(of_light):
    assert {check.correlation_networks for check in of_light[0].values()} == {None}
