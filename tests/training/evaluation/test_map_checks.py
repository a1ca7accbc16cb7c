"""Tests of map checks, on networks and maps whose evidence is known."""

from statistics import stdev

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import nn

from scanner.explain.occlusion import Masks
from scanner.networks.architectures import NetworkSpec
from scanner.networks.package import draft_network_card, read_card
from scanner.preprocess.channels import channels
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from tests.scanner.ensembles import SPECS, write_test_package
from training.errors import TrainingError
from training.evaluation.card_text import card_markdown
from training.evaluation.map_checks import _pointing, check_ensemble_maps, check_network_maps, with_noise
from training.evaluation.map_curves import Curves, areas, untied
from training.evaluation.map_measures import METHODS, CheckSize, MapChecks, MethodCheck
from training.evaluation.relevance import Cells, cells_of, maps_of, middle, on_common_grid

CARD = draft_network_card(NetworkSpec("light", "compact", channels("min_max", "VIS")), "mer10", {})
SIZE = CheckSize(n_objects=12, n_occluded=6, n_randomised=2)
TINY = CheckSize(n_objects=3, n_occluded=2, n_randomised=1, n_steps=2)


def scene(n, geometry=MER_10, seed=1):
    """Return stamps with noise and a bright arc, placed differently in each, and the arc masks."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-3, 3, (2, n, 1, 1))
    stamps, truth = {}, np.empty(0)
    for band, grid in geometry.grids.items():
        at = (np.arange(grid.n_pixels) - (grid.n_pixels - 1) / 2) * grid.pixel_scale_arcsec
        dy, dx = at[:, None] - corners[0], at[None, :] - corners[1]
        light = 30 * np.exp(-0.5 * ((np.hypot(dy, dx) - 0.4) / 0.1) ** 2) * (dy > 0)
        stamps[band] = (light + rng.normal(size=light.shape)).astype(np.float32)
        if band == "VIS":
            truth = light > 1
    return stamps, truth


def light_meter():
    """Make a network that outputs "lens" for stamps with many pixels above half the brightest pixel."""
    convolution, linear = nn.Conv2d(1, 1, 1), nn.Linear(10000, 4)
    with torch.no_grad():
        convolution.weight.fill_(1)
        convolution.bias.fill_(-0.5)
        linear.weight.zero_()
        linear.weight[1] = 2
        linear.bias.copy_(torch.tensor([0.0, -5.0, -20.0, -20.0]))
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), linear).eval()


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


def test_a_card_keeps_the_figures_and_shows_them(package):
    folder, checks, _ = package
    card = read_card(folder)
    assert "## Checks of its maps" not in card_markdown(card)
    networks = [n.model_copy(update={"metrics": n.metrics | checks.metrics()[n.name]}) for n in card.networks]
    assert {f"maps_{method}_deletion_auc" for method in METHODS} < set(networks[0].metrics)
    kept = [check for n in networks for check in MethodCheck.of_metrics(n.name, n.metrics)]
    assert MapChecks(n_bright_lenses=3, checks=tuple(kept)) == checks
    text = card_markdown(card.model_copy(update={"networks": tuple(networks)}))
    section = text[text.index("## Checks of its maps") : text.index("## Inputs")]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith(("| OU-", "| other"))]
    assert [row[0] for row in rows] == ["| OU-H"] * 3 + ["| other"] * 3
    assert rows[4][2] == f"{kept[4].hits:.2f} ({kept[4].hits_of_others:.2f}; {kept[4].hits_of_middle:.2f})"
    assert rows[4][4] == f"{kept[4].empty:.2f}"
    assert "noise added to its noise (white, half the sky's sigma)" in " ".join(section.split())
    assert "differ in the seed of training alone" in section
    # The table of metrics is unchanged.
    assert text[: text.index("## Comb")] == card_markdown(card)[: text.index("## Comb")]


def test_a_single_network_has_no_agreement_figures(of_light):
    check = of_light[0]["grad_cam"]
    assert check.correlation_networks is None
    assert MethodCheck.of_metrics("light", check.metrics()) == [check]
    assert MethodCheck.of_metrics("light", {"auroc": 0.9}) == []


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"hits_of_others": 0.95}, "pointing"),
        ({"hits_of_middle": 0.95}, "pointing"),
        ({"hits_of_others": 0.0, "hits_of_middle": 0.0, "hits_error": 0.6}, "pointing"),
        ({"hits_of_others": 1.0, "hits_of_middle": 0.0, "hits_error": 0.0}, "pointing"),
        ({"hits_of_others": 1 - 1 / 12, "hits_of_middle": 0.0, "hits_error": 0.0}, "pointing"),
        ({"hits_randomised": 0.9, "hits_randomised_of_others": 0.3}, "untrained pointing"),
        ({"correlation_randomised": 0.3}, "untrained ranks"),
        ({"insertion_auc_others": 0.99}, "insertion"),
        ({"insertion_auc_error": 0.9}, "insertion"),
        ({"deletion_auc_others": 0.01}, "deletion"),
    ],
)
def test_failed_checks_are_named(of_light, change, failed):
    assert of_light[0]["guided_grad_cam"].model_copy(update=change).failed == (failed,)


@pytest.mark.parametrize(
    "change",
    [
        {"hits_randomised": 0.9, "hits_randomised_of_others": 0.3, "hits_randomised_error": 0.4},
        {"hits_randomised": 0.9, "hits_randomised_of_others": 0.9, "hits_randomised_error": 0.0},
        {"correlation_randomised": -0.9},
        {"hits_of_others": 1 - 3 / 12, "hits_of_middle": 0.0, "hits_error": 0.0},
    ],
)
def test_differences_within_chance_pass(of_light, change):
    assert of_light[0]["guided_grad_cam"].model_copy(update=change).failed == ()


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


def test_incomplete_sets_of_figures_are_left_out(of_light):
    """A card that an earlier version wrote may lack figures."""
    metrics = of_light[0]["grad_cam"].metrics() | of_light[0]["occlusion"].metrics()
    del metrics["maps_occlusion_hits_of_middle"]
    assert MethodCheck.of_metrics("light", metrics) == [of_light[0]["grad_cam"]]
    assert MethodCheck.of_metrics("light", {"maps_grad_cam_hits": 1.0}) == []


def test_a_true_map_uncovers_the_lens_before_chance(rng):
    truth = scene(4)[1]
    inputs = truth[:, None].astype(np.float32)

    def scores(shown):
        return shown.sum(axis=(1, 2, 3)) / truth.sum(axis=(1, 2))

    figures = Curves(scores, inputs, 20, rng).figures(truth.astype(float), Cells(Masks(1, 1), 0))
    # Fewer than a twentieth of the pixels are arc: the first step shows the whole arc.
    assert figures["insertion_auc"] == pytest.approx(1 - 0.5 / 20)
    assert figures["deletion_auc"] == pytest.approx(0.5 / 20)
    assert figures["insertion_auc_random"] == pytest.approx(0.5, abs=0.05)
    assert figures["deletion_auc_random"] == pytest.approx(0.5, abs=0.05)


def test_areas_equal_those_of_scipy(rng):
    curves = rng.random((5, 21))
    np.testing.assert_allclose(areas(curves), trapezoid(curves, dx=1 / 20, axis=1))


def test_equal_pixels_get_a_random_order(rng):
    maps = np.zeros((2, 10, 10))
    maps[:, 4:6] = rng.random((2, 2, 10)) + 1
    places = untied(maps, rng)
    assert all(sorted(some.ravel()) == list(range(100)) for some in places)
    np.testing.assert_array_equal(np.argsort(places[:, 4:6].reshape(2, -1)), np.argsort(maps[:, 4:6].reshape(2, -1)))
    assert places[:, 4:6].min() == 80
    assert 20 < places[0, :4].mean() < 60


@pytest.mark.parametrize(("masks", "n_pixels"), [(Masks(1, 1), 9), (Masks(4, 4), 12), (Masks(4, 4), 14), (Masks(4, 2), 12)])
def test_cells_cover_what_their_masks_hide(masks, n_pixels, rng):
    truth = rng.random((3, n_pixels, n_pixels)) < 0.05
    starts, side = masks.starts(n_pixels), masks.side_pixels
    cells = Cells(masks, 0)
    expected = [[[of[y : y + side, x : x + side].any() for x in starts] for y in starts] for of in truth]
    np.testing.assert_array_equal(cells.covering(truth), expected)
    maps = rng.random((3, len(starts), len(starts)))
    at_pixels = cells.at_pixels(maps, n_pixels)
    assert at_pixels.shape == truth.shape
    middles = starts + (side - masks.step_pixels) // 2
    np.testing.assert_array_equal(at_pixels[:, middles[:, None], middles], maps)
    np.testing.assert_array_equal(at_pixels[:, -1, -1], maps[:, -1, -1])


def test_slack_is_a_vis_psf_on_every_grid():
    ou_h, ou_66, ou_vis = (draft_network_card(spec, "challenge", {}) for spec in SPECS)
    assert [cells_of("grad_cam", card).slack for card in (CARD, ou_h, ou_66, ou_vis)] == [2, 1, 1, 2]
    assert cells_of("occlusion", CARD) == Cells(Masks(8, 4), 0)


def test_maps_of_all_networks_align_on_the_common_grid():
    """Each map has one pixel, 1.8 arcsec to the right of the middle and 1 arcsec below the middle."""
    for card in (CARD, *(draft_network_card(spec, "challenge", {}) for spec in SPECS)):
        for method in METHODS:
            side, n = (10.0 if card is CARD else 20.0), card.input_pixels
            n_cells = len(cells_of(method, card).masks.starts(n))
            maps = np.zeros((1, n_cells, n_cells))
            place = [int((offset / side + 0.5) * n_cells) for offset in (-1.0, 1.8)]
            maps[0, place[0], place[1]] = 1
            found = on_common_grid(maps, method, card)
            assert found.shape == (1, 20, 20)
            y, x = np.unravel_index(found.argmax(), (20, 20))
            assert (y, x) == (7, 14), (card.name, method)


def test_added_noise_is_half_the_sky_sigma(rng):
    stamps = {"VIS": rng.normal(5, 0.3, (4, 100, 100)).astype(np.float32)}
    added = with_noise(stamps, rng)["VIS"] - stamps["VIS"]
    assert added.std() == pytest.approx(0.15, rel=0.05)
    assert abs(added.mean()) < 0.01


def test_maps_do_not_depend_on_the_batch_size(rng):
    stamps = rng.random((20, 1, 100, 100), dtype=np.float32)
    whole, one = (maps_of(light_meter(), CARD, stamps[i:], 1) for i in (0, 18))
    np.testing.assert_allclose(whole["guided_grad_cam"][18:], one["guided_grad_cam"], rtol=1e-6)


def test_the_middle_has_equal_width_for_all_networks():
    ou_h, _, ou_vis = (draft_network_card(spec, "challenge", {}) for spec in SPECS)
    for card, n_cells, first, n_kept in ((CARD, 100, 10, 80), (CARD, 25, 2, 21), (ou_h, 66, 20, 26), (ou_vis, 50, 15, 20)):
        maps = np.arange(n_cells**2, dtype=float).reshape(1, n_cells, n_cells)
        np.testing.assert_array_equal(middle(maps, card), maps[:, first : first + n_kept, first : first + n_kept])
