"""Tests of the weights that fits start from."""

import pytest
import torch
from safetensors.torch import load_file

from scanner.networks.architectures import CANDIDATE_NETWORKS, COMMITTEE_NETWORKS, FIRST_STAGE_NETWORKS, FLAGSHIP_NETWORKS
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_network
from scanner.networks.parameters import he_initialise
from tests.training.tiny_build import BUILD_CONFIG
from training.errors import TrainingError
from training.fit import start_file
from training.start_weights import grown, put_start_weights

SHIPPED = SHIPPED_DIR / "mer3-sim"
SMALL = {spec.name: spec for spec in (*FLAGSHIP_NETWORKS, *FIRST_STAGE_NETWORKS)}
LARGE = {spec.name: spec for spec in COMMITTEE_NETWORKS}


def trained(spec):
    """Return a network with the statistics of a batch, in which no two channels are alike."""
    torch.manual_seed(1)
    network = spec.build()
    he_initialise(network)
    network.train()(stamps())
    return network.eval()


def stamps():
    return torch.randn(3, 5, 100, 100, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", ["equivariant-sky", "compact-sky"])
def test_a_grown_network_begins_with_the_small_ones_outputs(name):
    network = LARGE[name].build()
    network.load_state_dict(grown(trained(SMALL[name]).state_dict(), LARGE[name]))
    torch.testing.assert_close(network.eval()(stamps()), trained(SMALL[name])(stamps()), rtol=1e-4, atol=1e-4)


def test_the_further_channels_of_a_grown_network_learn():
    small = trained(SMALL["equivariant-sky"]).state_dict()
    network = LARGE["equivariant-sky"].build()
    network.load_state_dict(grown(small, LARGE["equivariant-sky"]))
    loss = torch.nn.functional.cross_entropy(network.train()(stamps()), torch.tensor([0, 1, 2]))
    loss.backward()
    widened = [
        name for name, weights in network.named_parameters() if weights.ndim == 4 and weights.shape[1] > small[name].shape[1]
    ]
    assert len(widened) == 8
    for name in widened:
        weights, (n_out, n_in) = network.get_parameter(name), small[name].shape[:2]
        assert not weights.detach()[:n_out, n_in:].any()
        assert weights.grad[:n_out, n_in:].any(), name


def test_a_smaller_field_keeps_the_middle_of_the_last_kernel():
    small = trained(SMALL["equivariant-sky"]).state_dict()
    large = grown(small, LARGE["middle-sky"])
    (name,) = (name for name, weights in small.items() if weights.shape[-2:] == (6, 6))
    assert torch.equal(large[name][:, : small[name].shape[1]], small[name][:, :, 1:5, 1:5])


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (SMALL["compact-sky"], LARGE["equivariant-sky"]),
        (LARGE["equivariant-sky"], SMALL["equivariant-sky"]),
        (SMALL["light"], LARGE["equivariant-sky"]),
    ],
    ids=["other layers", "fewer channels", "larger kernels"],
)
def test_other_networks_are_not_grown(small, large):
    assert grown(trained(small).state_dict(), large) is None


def test_the_seed_alone_draws_the_further_channels():
    small = trained(SMALL["equivariant-sky"]).state_dict()
    first, again, other = (grown(small, LARGE["equivariant-sky"], seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def start(package, spec, work):
    put_start_weights(package, BUILD_CONFIG.model_copy(update={"networks": (spec,)}), work)
    network = spec.build()
    network.load_state_dict(load_file(start_file(work, spec)))
    return network.eval()


def test_a_network_grows_from_the_one_with_its_inputs(tmp_path):
    network = start(SHIPPED, LARGE["equivariant-centre"], tmp_path)
    card = next(card for card in read_card(SHIPPED).networks if card.name == "equivariant-centre")
    torch.testing.assert_close(network(stamps()), load_network(SHIPPED, card).eval()(stamps()), rtol=1e-4, atol=1e-4)


def test_the_network_of_that_name_comes_first(tmp_path):
    network = start(SHIPPED, SMALL["compact-sky"], tmp_path)
    card = next(card for card in read_card(SHIPPED).networks if card.name == "compact-sky")
    assert torch.equal(network(stamps()), load_network(SHIPPED, card).eval()(stamps()))


def test_a_candidate_network_starts_from_that_of_a_cascade(tmp_path):
    cascade = SHIPPED_DIR / "mer3-cascade"
    found = start(cascade, CANDIDATE_NETWORKS[0], tmp_path).state_dict()
    expected = load_network(cascade, read_card(cascade).candidate_stage.network).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_inputs_must_be_the_same(tmp_path):
    with pytest.raises(
        TrainingError, match=r"must hold equivariant-min-max \(equivariant_large\), .* got compact-sky \(compact\), equi"
    ):
        start(SHIPPED, LARGE["equivariant-min-max"], tmp_path)


def test_a_larger_network_of_that_name_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"must hold compact-sky \(compact\), .* compact-sky \(compact_large\)"):
        start(SHIPPED_DIR / "mer3-cascade", SMALL["compact-sky"], tmp_path)
