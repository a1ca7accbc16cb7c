import numpy as np
import pytest
import torch
from skimage.transform import resize

from scanner.networks.architectures import NetworkSpec
from scanner.networks.ensemble import Ensemble
from scanner.networks.package import load_package
from scanner.pixels.geometry import CHALLENGE
from tests.scanner.ensembles import networks, write_test_package


def stamps(n, seed=0):
    rng = np.random.default_rng(seed)
    return {b: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for b, g in CHALLENGE.grids.items()}


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "pack"
    write_test_package(folder)
    return load_package(folder)


def test_every_network_sees_its_own_bands_in_its_own_order(ensemble):
    """Against the authors' way: one network, one object, one band at a time."""
    given = stamps(2)
    got = ensemble.score(given)
    built = networks()
    for network in ensemble.card.networks:
        for i in range(2):
            channels = []
            for band in network.bands:
                image = resize(given[band][i].astype(np.float64), (network.input_pixels,) * 2)
                channels.append((image - image.min()) / (image.max() - image.min()))
            x = torch.tensor(np.array(channels)[None], dtype=torch.float32)
            with torch.no_grad():
                p = torch.softmax(built[network.name].eval()(x), 1)[0, 1].item()
            assert got.p_networks[network.name][i] == pytest.approx(p, abs=2e-6)
    assert got.p_lens == pytest.approx(np.mean(list(got.p_networks.values()), axis=0), abs=1e-6)
    assert got.p_compound is None
    assert list(got.p_networks) == list(ensemble.network_names)
    assert all(p.dtype == np.float32 and p.shape == (2,) for p in [*got.p_networks.values(), got.p_lens])


def test_scores_do_not_depend_on_the_batch(ensemble):
    given = stamps(7, seed=1)
    whole = ensemble.score(given)
    for size in (1, 3):
        for start in range(0, 7, size):
            part = ensemble.score({band: images[start : start + size] for band, images in given.items()})
            for name, p in part.p_networks.items():
                assert np.abs(p - whole.p_networks[name][start : start + size]).max() < 1e-6
    assert np.ptp(whole.p_lens) > 1e-5


def test_class_index_zero_gives_the_other_probability(tmp_path):
    specs = (NetworkSpec("OU-H", "ou66", ("H",)),)
    card = write_test_package(tmp_path / "one", specs)
    engine = load_package(tmp_path / "one").engines
    flipped = card.model_copy(update={"networks": (card.networks[0].model_copy(update={"lens_class_index": 0}),)})
    given = stamps(2)
    a, b = Ensemble(card, engine).score(given), Ensemble(flipped, engine).score(given)
    assert a.p_lens + b.p_lens == pytest.approx([1, 1], abs=1e-6)
    assert flipped.sha256 != card.sha256


def test_bands_are_prepared_once_a_size(ensemble, monkeypatch):
    import scanner.networks.ensemble as module

    calls = []
    prepare = module.network_input

    def spy(stamps, bands, n_pixels):
        calls.append((bands, n_pixels))
        return prepare(stamps, bands, n_pixels)

    monkeypatch.setattr(module, "network_input", spy)
    ensemble.score(stamps(1))
    assert calls == [(("H", "J", "Y", "VIS"), 66), (("VIS",), 200)]


def test_engines_must_be_those_of_the_card(ensemble):
    with pytest.raises(ValueError, match="OU-VIS"):
        Ensemble(ensemble.card, {})
