"""The late mapper makes the maps of the mapper that it loads, and says what is wrong with a package when maps are asked for."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from scanner.explain.candidate_maps import candidate_mapper
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.late_mapper import LateMapper
from scanner.vocabulary.geometry import GEOMETRIES

PACKAGE = SHIPPED_DIR / "mer3-cascade"


@pytest.fixture
def torch_threads():
    """Restore torch's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_maps_are_those_of_the_mapper(rng, torch_threads, engine):
    card = read_card(PACKAGE)
    grids = GEOMETRIES[card.geometry].grids
    stamps = {band: rng.normal(size=(3, grid.n_pixels, grid.n_pixels)).astype(np.float32) for band, grid in grids.items()}
    late = LateMapper(PACKAGE, card, engine, 2).maps(stamps)
    expected = candidate_mapper(PACKAGE, card).maps(stamps)
    for field in fields(expected):
        np.testing.assert_array_equal(getattr(late, field.name), getattr(expected, field.name))


def test_a_package_without_its_weights_is_named(tmp_path):
    mapper = LateMapper(tmp_path, read_card(PACKAGE), "openvino", 1)
    for _ in range(2):
        with pytest.raises(PackageError, match=r"safetensors: cannot be read"):
            mapper.maps({})
