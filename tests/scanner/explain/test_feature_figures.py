"""Pages of feature visualisations: their titles, and the pictures on them."""

import numpy as np
import pytest

from scanner.explain.feature_figures import feature_figures, picture
from scanner.explain.feature_visualisation import DeepDreams, FeatureVisualisation, KernelVisualisation
from scanner.explain.figure_files import pages_bytes
from scanner.networks.architectures import FLAGSHIP_NETWORKS, PAPER_NETWORKS
from scanner.networks.package import draft_network_card
from scanner.preprocess.channel import channels

SPECS = {spec.name: spec for spec in (*PAPER_NETWORKS, *FLAGSHIP_NETWORKS)}
IDS = ["a", "b", "c$_{x$"]


def visualisation(name, n_dreams=1):
    """Return random images of two kernels of one layer and of one dream."""
    rng, spec = np.random.default_rng(1), SPECS[name]
    card = draft_network_card(spec, "mer10" if spec in FLAGSHIP_NETWORKS else "challenge", {})
    shape, n_classes = (len(card.channels), 12, 12), len(card.classes)

    def images(n):
        return rng.normal(size=(n, *shape)).astype(np.float32)

    objects = [(i, images(1)[0]) if n_dreams else (None, None) for i in range(3)]
    kernels = tuple(KernelVisualisation("7", i, *images(1), *objects[i]) for i in (0, 2))
    p = np.full((1 + n_classes, n_classes), 1 / n_classes, np.float32)
    dreams = tuple(DeepDreams(1, images(1 + n_classes), p) for _ in range(n_dreams))
    return FeatureVisualisation(card, images(11)[..., :3, :3], images(n_classes), p[1:], kernels, dreams)


def drawn(axis):
    return axis.get_images()[0].get_array()


@pytest.mark.parametrize("name", ["OU-66", "compact-sky"])
def test_each_part_has_a_page_with_titles(name):
    shown = visualisation(name)
    card = shown.card
    kernels, classes, excited, dreamt = feature_figures(shown, IDS)
    titles = [[axis.get_title() for axis in page.axes if axis.get_title()] for page in (kernels, classes, excited, dreamt)]
    assert titles[0] == [f"kernel {i}" for i in range(11)]
    assert titles[1] == [f"p({kind}) {1 / len(card.classes):.3f}" for kind in card.classes]
    assert titles[2] == ["[layer 7 kernel 0]", "a", "[layer 7 kernel 2]", "c$_{x$"]
    assert [title.split("\n")[:2] for title in titles[3]] == [["b", "as it is"], *(["b", f"towards {k}"] for k in card.classes)]
    assert all(title.endswith(f"p(lens) {1 - 1 / len(card.classes):.3f}") for title in titles[3])


@pytest.mark.parametrize("name", ["OU-66", "compact-sky"])
def test_pages_show_kernels_objects_and_dreams_upright(name):
    shown = visualisation(name)
    pages = feature_figures(shown, IDS)
    _, _, excited, dreamt = pages
    np.testing.assert_array_equal(drawn(excited.axes[0]), picture(shown.kernels[0].generated, shown.card.channels))
    np.testing.assert_array_equal(drawn(excited.axes[1]), picture(shown.kernels[0].object_input, shown.card.channels))
    np.testing.assert_array_equal(drawn(dreamt.axes[0]), picture(shown.dreams[0].images[0], shown.card.channels, 2.5))
    assert {image.origin for page in pages for axis in page.axes for image in axis.get_images()} == {"lower"}


def test_without_objects_there_is_no_page_of_dreams():
    assert len(feature_figures(visualisation("OU-66", n_dreams=0))) == 3


def test_equal_images_give_equal_bytes():
    first, again = (feature_figures(visualisation("equivariant-sky"), IDS) for _ in range(2))
    assert pages_bytes(first[:2], "pdf") == pages_bytes(again[:2], "pdf")


def test_pictures_show_bands_in_the_papers_colours():
    paper = channels("min_max", "J", "Y", "H", "VIS")
    image = np.broadcast_to(np.array([0.2, 0.1, 0.3, 0.9], np.float32)[:, None, None], (4, 50, 50))
    shown = picture(image, paper)
    assert shown.shape == (50, 102, 3)
    np.testing.assert_allclose(shown[:, :50], np.broadcast_to([0.3, 0.2, 0.1], (50, 50, 3)), rtol=1e-6)
    assert (shown[:, 50:52] == 1).all()
    np.testing.assert_allclose(shown[:, 52:], 0.9)
    np.testing.assert_allclose(picture(image, paper, 2.5)[0, 0], [0.75, 0.5, 0.25], rtol=1e-6)


def test_pictures_of_other_scales_lie_between_their_bounds():
    flagship = (*channels("sky_asinh", "VIS", "Y", "J", "H"), *channels("detail", "VIS"))
    image = np.broadcast_to(np.array([6, -2, 2, 6, -3], np.float32)[:, None, None], (5, 3, 3))
    shown = picture(image, flagship, 2.5)
    assert shown.shape == (3, 3 * 3 + 2, 3)
    # NISP, then VIS, then VIS on its other scale.
    np.testing.assert_allclose(shown[0, [0, 4, 8]], [[1, 0.5, 0], [1, 1, 1], [0, 0, 0]])
    one_band = picture(np.full((1, 3, 3), 0.25, np.float32), channels("min_max", "H"))
    np.testing.assert_allclose(one_band, 0.25)
