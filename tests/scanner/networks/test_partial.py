"""Networks that score objects without some bands: which they are, and their probability by hand."""

import numpy as np
import pytest

from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package
from scanner.networks.partial import PartialEnsemble, ensembles_reading, networks_reading
from scanner.vocabulary.geometry import CHALLENGE
from tests.scanner.ensembles import SPECS, write_test_package


@pytest.fixture(scope="module")
def ensemble():
    return load_package(SHIPPED_DIR / "ou7-sim")


@pytest.fixture(scope="module")
def stamps():
    rng = np.random.default_rng(3)
    return {band: rng.exponential(size=(5, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in CHALLENGE.grids.items()}


@pytest.mark.parametrize(
    ("bands", "names"),
    [
        ({"VIS"}, ["OU-VIS"]),
        ({"VIS", "Y"}, ["OU-Y", "OU-VIS"]),
        ({"Y", "J", "H"}, ["OU-J", "OU-Y", "OU-H", "OU-JYH"]),
        (set(), []),
    ],
)
def test_networks_that_read_the_bands_are_found(ensemble, bands, names):
    assert [network.name for network in networks_reading(ensemble.card, bands)] == names
    cards = [read_card(SHIPPED_DIR / name) for name in ("mer3-sim", "ou7-sim")]
    assert ensembles_reading(cards, bands) == (["ou7-sim"] if names else [])


def test_the_odds_are_the_mean_at_the_prior(ensemble, stamps):
    whole = ensemble.score(stamps)
    bands = {"VIS": stamps["VIS"], "Y": stamps["Y"]}
    partial = PartialEnsemble(ensemble, networks_reading(ensemble.card, bands))
    assert partial.geometry.grids.keys() == bands.keys()
    scores = partial.score(bands)
    odds = []
    for name in ("OU-VIS", "OU-Y"):
        p = scores.p_networks[name].astype(float)
        np.testing.assert_allclose(p, whole.p_networks[name], rtol=1e-5)
        odds.append(p / (1 - p))
    expected = np.sqrt(odds[0] * odds[1])
    assert scores.p_lens / (1 - scores.p_lens) == pytest.approx(expected, rel=1e-4)
    assert (scores.p_compound, scores.subclass) == (None, None)
    # The networks themselves give probabilities in a mixture where this is the share of lenses, and not 1 in 2000.
    lenses = 1 - ensemble.card.combiner.training_fractions[0]
    own = [of * lenses / (1 - lenses) / (0.0005 / 0.9995) for of in odds]
    p_vis, p_y = (of / (1 + of) for of in own)
    assert scores.disagreement == pytest.approx(np.abs(p_vis - p_y) / 2, rel=1e-3)


def test_an_ensemble_without_a_prior_keeps_the_odds(tmp_path, stamps):
    write_test_package(tmp_path, SPECS[:1])
    ensemble = load_package(tmp_path)
    scores = PartialEnsemble(ensemble, ensemble.card.networks).score({"H": stamps["H"]})
    assert scores.p_lens == pytest.approx(scores.p_networks["OU-H"], rel=1e-5)
