import numpy as np
import pytest
import torch
from skimage.transform import resize

from scanner.networks.architectures import FLAGSHIP_NETWORKS
from scanner.networks.ensemble import Ensemble, EnsembleScores, joined
from scanner.networks.package import load_package
from scanner.preprocess.network_inputs import network_input
from scanner.preprocess.stamp_checks import StampsError
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.kinds import KINDS
from tests.scanner.ensembles import networks, write_test_package


def stamps(n, seed=0):
    rng = np.random.default_rng(seed)
    return {b: rng.normal(size=(n, g.n_pixels, g.n_pixels)).astype(np.float32) for b, g in CHALLENGE.grids.items()}


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "pack"
    write_test_package(folder)
    return load_package(folder)


@pytest.mark.fault(25)
def test_each_network_reads_its_bands_in_its_order(ensemble):
    """Compare with the authors' way: one network, one object, one band at a time."""
    given = stamps(2)
    got = ensemble.score(given)
    built = networks()
    for network in ensemble.card.networks:
        for i in range(2):
            images = []
            for channel in network.channels:
                image = resize(given[channel.band][i].astype(np.float64), (network.input_pixels,) * 2)
                images.append((image - image.min()) / (image.max() - image.min()))
            x = torch.tensor(np.array(images)[None], dtype=torch.float32)
            with torch.no_grad():
                p = torch.softmax(built[network.name].eval()(x), 1)[0, 1].item()
            assert got.p_networks[network.name][i] == pytest.approx(p, abs=2e-6)
    assert got.p_lens == pytest.approx(np.mean(list(got.p_networks.values()), axis=0), abs=1e-6)
    assert got.p_compound is got.kinds_given_lens is None
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


def test_scores_of_networks_with_four_classes_by_hand(tmp_path):
    """The networks have four classes; the probability of a lens is that of all except the first."""
    card = write_test_package(tmp_path / "kinds", FLAGSHIP_NETWORKS, geometry="mer10")
    loaded = load_package(tmp_path / "kinds")
    rng = np.random.default_rng(4)
    given = {band: rng.normal(size=(3, 100, 100)).astype(np.float32) for band in ("VIS", "Y", "J", "H")}
    scores = loaded.score(given)
    expected = {}
    for spec, network in zip(FLAGSHIP_NETWORKS, networks(FLAGSHIP_NETWORKS).values(), strict=True):
        with torch.no_grad():
            logits = network.eval()(torch.from_numpy(network_input(given, spec.channels, 100)))
        expected[spec.name] = 1 - torch.softmax(logits.double(), 1)[:, 0].numpy()
        assert scores.p_networks[spec.name] == pytest.approx(expected[spec.name], abs=1e-5)
    together = np.stack(list(expected.values()))
    assert scores.p_lens == pytest.approx(together.mean(axis=0), abs=1e-5)
    assert scores.disagreement == pytest.approx(np.sqrt(((together - together.mean(axis=0)) ** 2).mean(axis=0)), abs=1e-5)
    assert card.networks[0].classes == KINDS


def test_channels_are_prepared_once_per_size(ensemble, monkeypatch):
    import scanner.preprocess.network_inputs as module

    calls = []
    write = module.write_scaled

    def spy(images, targets, margin, measure):
        calls.append((images.shape[-1], [scaling for scaling, _, _ in targets]))
        write(images, targets, margin, measure)

    monkeypatch.setattr(module, "write_scaled", spy)
    ensemble.score(stamps(1))
    assert sorted(calls) == [*[(66, ["min_max"])] * 4, (200, ["min_max"])]


def test_engines_must_be_those_of_the_card(ensemble):
    with pytest.raises(ValueError, match="OU-VIS"):
        Ensemble(ensemble.card, {})


def test_stamps_of_another_size_are_refused(ensemble):
    """Networks of 66 and 200 pixels would take an image of any size: it would be squeezed to theirs."""
    given = {**stamps(1), "H": np.ones((1, 132, 132), np.float32)}
    with pytest.raises(StampsError, match=r"H must be \[n, 66, 66\]"):
        ensemble.score(given)


def test_pixels_that_are_not_finite_are_refused(ensemble):
    given = stamps(2)
    given["VIS"][1, 0, 0] = np.nan
    with pytest.raises(StampsError, match="VIS of object 1"):
        ensemble.score(given)
    trusting = Ensemble(ensemble.card, ensemble.engines, checks_pixels=False)
    good = stamps(2)
    assert np.array_equal(trusting.score(good).p_lens, ensemble.score(good).p_lens)


def test_features_of_all_networks_lie_side_by_side(ensemble):
    given = stamps(3)
    asked = Ensemble(ensemble.card, ensemble.engines, features=True)
    scores, plain = asked.score(given), ensemble.score(given)
    assert plain.features is None
    assert np.array_equal(scores.p_lens, plain.p_lens)
    sizes = [ensemble.engines[name].network[-1].in_features for name in ensemble.network_names]
    assert scores.features.shape == (3, sum(sizes))
    start = 0
    for name, size in zip(ensemble.network_names, sizes, strict=True):
        own, last = scores.features[:, start : start + size], ensemble.engines[name].network[-1]
        with torch.no_grad():
            p = torch.softmax(last(torch.from_numpy(own)), 1)[:, 1].numpy()
        assert scores.p_networks[name] == pytest.approx(p, abs=1e-6)
        start += size


@pytest.mark.parametrize("features", [False, True])
def test_networks_can_run_one_after_another(ensemble, features):
    asked = Ensemble(ensemble.card, ensemble.engines, features=features)
    given, (first, *others) = stamps(3), asked.network_names
    begun = asked.outputs(given, (first,))
    assert list(begun.logit_margins) == [first]
    assert list(begun.features) == [first] * features
    whole, together = asked.score(given), asked.combined(asked.outputs(given, others) | begun)
    assert list(together.p_networks) == list(whole.p_networks)
    assert np.array_equal(together.p_lens, whole.p_lens)
    assert np.array_equal(together.disagreement, whole.disagreement)
    if features:
        assert np.array_equal(together.features, whole.features)
    chosen = np.array([True, False, True])
    some = asked.outputs(given).of(chosen)
    assert np.array_equal(asked.combined(some).p_lens, whole.p_lens[chosen])
    with pytest.raises(StampsError):
        asked.outputs({**given, "H": given["H"][:, :-1]}, (first,))


def test_rows_of_scores_join_to_the_same_scores():
    rng = np.random.default_rng(0)
    values = {name: rng.random(5).astype(np.float32) for name in ("disagreement", "p_lens", "p_compound", "p_first", "p_exit")}
    scores = EnsembleScores(
        {"A": rng.random(5).astype(np.float32)},
        subclass=list("abcde"),
        kinds_given_lens=rng.random((5, 3)).astype(np.float32),
        stage=np.array([1, 2, 1, 2, 2], np.int8),
        **values,
    )
    chosen = scores.stage == 2
    whole = joined([scores.of(chosen), scores.of(~chosen)])
    order = [1, 3, 4, 0, 2]
    assert whole.subclass == list("bdeac")
    assert whole.features is None
    for name in ("disagreement", "p_lens", "p_compound", "p_first", "p_exit", "kinds_given_lens", "stage"):
        assert np.array_equal(getattr(whole, name), getattr(scores, name)[order])
    assert np.array_equal(whole.p_networks["A"], scores.p_networks["A"][order])
