"""Layer by layer against tables 3 and 4 of Wilde et al. 2022."""

import itertools
import math

import pytest
import torch
from torch import nn

from scanner.networks.architectures import ARCHITECTURES, PAPER_NETWORKS
from scanner.networks.paper_networks import ou66, ou200
from scanner.networks.parameters import count_parameters, he_initialise

# Layer, type, output shape, parameters: as printed.
TABLE_3 = """
0 Conv2d 50,64,64 1850
2 MaxPool2d 50,32,32 0
3 Dropout 50,32,32 0
4 Conv2d 50,30,30 22550
6 Dropout 50,30,30 0
7 Conv2d 50,28,28 22550
9 Dropout 50,28,28 0
10 Conv2d 50,26,26 22550
12 Dropout 50,26,26 0
13 Conv2d 40,24,24 18040
15 MaxPool2d 40,12,12 0
16 Dropout 40,12,12 0
17 Conv2d 40,10,10 14440
19 Dropout 40,10,10 0
20 Conv2d 40,8,8 14440
22 Dropout 40,8,8 0
23 Conv2d 40,6,6 14440
25 Dropout 40,6,6 0
26 Conv2d 30,4,4 10830
28 MaxPool2d 30,2,2 0
29 Dropout 30,2,2 0
30 Linear 500 60500
32 Linear 2 1002
"""
TABLE_4 = """
0 Conv2d 50,196,196 5050
2 MaxPool2d 50,98,98 0
3 Dropout 50,98,98 0
4 Conv2d 40,94,94 50040
6 MaxPool2d 40,47,47 0
7 Dropout 40,47,47 0
8 Conv2d 30,45,45 10830
10 MaxPool2d 30,22,22 0
11 Dropout 30,22,22 0
12 Conv2d 20,20,20 5420
14 MaxPool2d 20,10,10 0
15 Dropout 20,10,10 0
16 Conv2d 20,8,8 3620
18 Dropout 20,8,8 0
19 Conv2d 20,6,6 3620
21 Dropout 20,6,6 0
22 Linear 350 252350
24 Linear 2 702
"""
TOTALS = {
    "OU-J": 201842,
    "OU-Y": 201842,
    "OU-H": 201842,
    "OU-JYH": 202742,
    "OU-VIS": 327882,
    "OU-66": 203192,
    "OU-200": 331632,
}


@pytest.mark.parametrize(("build", "side", "table"), [(ou66, 66, TABLE_3), (ou200, 200, TABLE_4)], ids=["table 3", "table 4"])
def test_every_layer_is_as_printed(build, side, table):
    network = build(4)
    x = torch.zeros(1, 4, side, side)
    got = {}
    for name, layer in network.named_children():
        x = layer(x)
        got[name] = (type(layer).__name__, ",".join(map(str, x.shape[1:])), sum(p.numel() for p in layer.parameters()))
    expected = {row[0]: (row[1], row[2], int(row[3])) for row in map(str.split, table.strip().splitlines())}
    assert {name: got[name] for name in expected} == expected
    # The tables leave out the ReLU after every convolution and the first dense layer, and the flattening.
    assert {kind for name, (kind, _, _) in got.items() if name not in expected} == {"ReLU", "Flatten"}
    for layer, following in itertools.pairwise(network):
        if isinstance(layer, nn.Conv2d):
            assert isinstance(following, nn.ReLU)
    assert all(layer.p == 0.2 for layer in network if isinstance(layer, nn.Dropout))


@pytest.mark.parametrize("spec", PAPER_NETWORKS, ids=lambda spec: spec.name)
def test_parameter_totals(spec):
    network = spec.build()
    assert count_parameters(network) == TOTALS[spec.name]


def test_networks_read_the_bands_in_their_names():
    bands = {spec.name: tuple(channel.band for channel in spec.channels) for spec in PAPER_NETWORKS}
    assert bands == {
        "OU-J": ("J",),
        "OU-Y": ("Y",),
        "OU-H": ("H",),
        "OU-JYH": ("J", "Y", "H"),
        "OU-VIS": ("VIS",),
        "OU-66": ("J", "Y", "H", "VIS"),
        "OU-200": ("J", "Y", "H", "VIS"),
    }


def test_he_initialisation_has_variance_two_over_fan_in():
    torch.manual_seed(1)
    network = ou200(4)
    he_initialise(network)
    dense = network.get_submodule("22")
    assert dense.weight.numel() == 720 * 350
    # The standard error of the standard deviation of n normal numbers is sigma / sqrt(2 n).
    sigma = math.sqrt(2 / 720)
    assert abs(dense.weight.std().item() - sigma) < 5 * sigma / math.sqrt(2 * 720 * 350)
    assert all(not module.bias.any() for module in network if isinstance(module, nn.Conv2d | nn.Linear))


def test_a_network_without_channels_is_refused():
    with pytest.raises(ValueError, match="n_channels=0"):
        ou66(0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_pixels_outside_the_field_have_no_effect(name):
    architecture = ARCHITECTURES[name]
    n, field = architecture.input_pixels, architecture.field_pixels or architecture.input_pixels
    network = architecture.build(2)
    torch.manual_seed(0)
    he_initialise(network)
    margin = (n - field) // 2
    x = torch.randn(1, 2, n, n)
    outside, inside = torch.full_like(x, 9), x.clone()
    outside[..., margin : margin + field, margin : margin + field] = x[..., margin : margin + field, margin : margin + field]
    # A polar network sees a disc, whose edge lies one to two pixels inside.
    inside[(..., margin + 1, slice(None)) if name == "polar" else (..., margin, margin)] += 9
    with torch.no_grad():
        whole, of_outside, of_inside = (network.eval()(given) for given in (x, outside, inside))
    assert torch.equal(whole, of_outside)
    assert not torch.equal(whole, of_inside)
