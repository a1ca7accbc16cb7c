"""The card of one network."""

import pytest
from pydantic import ValidationError

from scanner.networks.network_card import NetworkCard, check_name
from tests.scanner.ensembles import SPECS, card


@pytest.mark.parametrize("name", ["a", "OU-66", "mer3_sim.v2", "0" * 64])
def test_names_that_files_and_columns_may_have_are_kept(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a b", "a/b", "\u00e4", "0" * 65, "a\n"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="1-64 letters, digits"):
        check_name(name)


def test_the_specification_builds_the_network():
    of_network = card().networks[0]
    assert of_network.spec == SPECS[0]
    assert sum(p.numel() for p in of_network.spec.build().parameters()) == of_network.n_parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "lens"}, "p_lens is a column"),
        ({"weights_file": "../a.safetensors"}, "must be a plain file name ending in .safetensors"),
        ({"architecture": "vgg"}, "architecture must be one of .*, got 'vgg'"),
        ({"input_pixels": 100}, "input_pixels of ou66 must be 66, got 100"),
        ({"channels": (SPECS[0].channels[0],) * 2}, "each channel may be read once"),
    ],
)
def test_a_network_that_no_architecture_has_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        NetworkCard.model_validate({**card().networks[0].model_dump(), **changes})


def test_turns_decide_the_scores_and_metrics_do_not():
    network = card().networks[0]
    assert "metrics" not in network.what_decides()
    # Cards from before there were turns keep their digest.
    assert "turns" not in network.what_decides()
    assert network.model_copy(update={"turns": 2}).what_decides()["turns"] == 2
