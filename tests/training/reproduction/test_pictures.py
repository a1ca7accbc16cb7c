"""Tests of the list of figures: which objects they show, and what is drawn again when something changes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from infra.provenance import digest
from scanner.explain.feature_visualisation import VisualisationSettings
from scanner.networks.locate import SHIPPED_DIR
from scanner.sources.shards import shard_of
from scanner.vocabulary.geometry import CHALLENGE
from simulation.products.dataset import DatasetSpec, simulate_objects
from tests.training.reproduction.made import FLAGSHIP, OURS, card_of
from training.reproduction import pictures
from training.reproduction.known import KnownLenses
from training.reproduction.pictures import Drawn, chosen_rows


@pytest.fixture
def drawn(sample, results):
    return Drawn(
        sample=sample,
        ensembles=(OURS,),
        explained=(SHIPPED_DIR / OURS, card_of(OURS)),
        ours=(SHIPPED_DIR / OURS, OURS),
        grids={},
        is_reference_lens=np.zeros(0, bool),
        selections=results.selection,
        data=("paper", "own"),
        calibration=results.calibration,
        known=None,
        simulate=lambda indices: pytest.fail(f"objects {indices} are simulated although nothing is drawn"),
        settings=VisualisationSettings().of_at_most(7),
        seed=3,
        origin="all scores",
    )


class Listing:
    """A shelf that lists what it would draw."""

    def __init__(self):
        self.origins = {}

    def picture(self, figure, file, text, origin, draw):
        assert callable(draw)
        self.origins[file] = origin
        return pictures.Picture(figure=figure, file=file, text=text)


def listed(drawn):
    shelf = Listing()
    return pictures.pictures(drawn, shelf, lambda *_: None), shelf.origins


def test_the_highest_and_the_lowest_are_chosen(sample):
    p = sample.outputs(OURS)["OU-200"]
    rows = chosen_rows(sample, OURS, {"single": 2, "nonlens": 1}, 2)
    singles = sorted(np.flatnonzero(sample.kinds == "single"), key=lambda row: -p[row])
    others = sorted(np.flatnonzero(sample.kinds == "nonlens"), key=lambda row: -p[row])
    assert rows == [*singles[:2], *singles[-2:], others[0], *others[-2:]]
    assert chosen_rows(sample, OURS, {"single": 1}, 0) == singles[:1]


def test_no_object_is_chosen_twice(sample):
    n = int(np.sum(sample.kinds == "single"))
    rows = chosen_rows(sample, OURS, {"single": n - 1}, 2)
    assert sorted(rows) == np.flatnonzero(sample.kinds == "single").tolist()


def test_every_figure_of_the_paper_is_there_or_explained(drawn):
    found = {picture.figure: picture for picture in listed(drawn)[0]}
    assert {*map(str, (4, 5, 6, 9, *range(11, 18)))} <= {*found}
    assert found["13"].file is None
    assert "--compound" in found["13"].text
    assert found["9"].file is None, "no grid was fitted"
    assert OURS in found["11"].text
    assert "7 steps" in found["14"].text


def test_more_objects_change_only_figures_of_scores(drawn):
    _, before = listed(drawn)
    _, after = listed(replace(drawn, origin="more scores"))
    changed = {file for file in before if before[file] != after[file]}
    assert changed == {f"wilde2022_{name}.png" for name in ("fig4", "fig5", "fig6", "selection", "reliability")}


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"settings": VisualisationSettings().of_at_most(8)}, {"fig14", "fig15", "fig16_ou66", "fig16_ou200"}),
        (
            {"explained": (SHIPPED_DIR / FLAGSHIP, card_of(FLAGSHIP))},
            {"fig11", "fig12", "fig17", "fig14", "fig15", "fig16_ou66", "fig16_ou200"},
        ),
    ],
)
def test_figures_are_drawn_again_if_their_networks_or_steps_change(drawn, change, files):
    _, before = listed(drawn)
    _, after = listed(replace(drawn, **change))
    assert {file for file in before if before[file] != after[file]} == {f"wilde2022_{name}.jpg" for name in files}


def test_known_lenses_have_their_figure(drawn):
    stamps = {band: np.ones((1, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
    known = KnownLenses(("J0946+1006",), stamps)
    found = {picture.figure: picture for picture in listed(replace(drawn, known=known))[0]}
    assert found["13"].file == "wilde2022_fig13.jpg"


@pytest.mark.parametrize(
    ("of_one_image", "words"),
    [
        ((), "those that were given; colours"),
        (("b",), "given, with one image for all four bands of b; colours"),
        (("a", "b"), "given, with one image for all four bands; colours"),
    ],
)
def test_the_caption_names_lenses_of_one_image(drawn, of_one_image, words):
    known = replace(known_lenses(), of_one_image=of_one_image)
    found = {picture.figure: picture for picture in listed(replace(drawn, known=known))[0]}
    assert words in found["13"].text


def known_lenses(names=("a", "b"), order=(0, 1)):
    """Return two lenses, the second the first upside down, so that sums of pixels do not tell their order."""
    rng = np.random.default_rng(0)
    images = {band: rng.integers(0, 9, (grid.n_pixels,) * 2).astype(np.float32) for band, grid in CHALLENGE.grids.items()}
    return KnownLenses(names, {band: np.stack([image, image[::-1]])[list(order)] for band, image in images.items()})


@pytest.mark.parametrize("change", [{"names": ("a", "c")}, {"order": (1, 0)}, {"order": (0, 0)}])
def test_other_known_lenses_change_the_figures_that_show_them(drawn, change):
    _, before = listed(replace(drawn, known=known_lenses()))
    _, again = listed(replace(drawn, known=known_lenses()))
    _, after = listed(replace(drawn, known=known_lenses(**change)))
    assert before == again
    assert {file for file in before if before[file] != after[file]} == {"wilde2022_fig13.jpg", "wilde2022_fig17.jpg"}


def test_figures_of_earlier_versions_are_kept(drawn):
    card, seed, known = card_of(OURS), drawn.seed, known_lenses()
    sums = {band: float(images.sum()) for band, images in known.stamps.items()}
    steps = drawn.settings.of_kernel.n_steps
    _, origins = listed(replace(drawn, known=known))
    assert origins["wilde2022_fig14.jpg"] == digest([card.sha256, seed, sums, "14", "OU-66", steps, pictures.N_EXCITING, []])
    indices = drawn.indices(chosen_rows(drawn.sample, OURS, {"single": 2, "compound_arc": 2, "double_ring": 2}, 0))
    _, origins = listed(drawn)
    assert origins["wilde2022_fig17.jpg"] == digest([card.sha256, seed, {}, "17", indices])


def test_known_lenses_follow_simulated_ones(drawn):
    stamps = {band: np.ones((1, grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
    known = pictures.Pictured(("J0946+1006",), stamps, CHALLENGE)
    assert pictures._shown(drawn, [], known) is known
    spec = DatasetSpec(n=9, seed=1)
    shown = pictures._shown(replace(drawn, simulate=partial(simulate_objects, spec)), [5], known)
    assert shown.names == (f"{drawn.sample.kinds[5].replace('_', ' ')} 5", "J0946+1006")
    (expected,) = shard_of(simulate_objects(spec, [5])).stamps["H"]
    assert np.array_equal(shown.stamps["H"][0], expected)
    assert np.array_equal(shown.stamps["H"][1], stamps["H"][0])
