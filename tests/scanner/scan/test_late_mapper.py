"""The late mapper makes the maps of the mapper that it loads, and says what is wrong with a package when maps are asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import pytest
import torch

from scanner.explain import candidate_maps
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


@pytest.mark.parametrize(
    ("engine", "threads", "given", "after"), [("openvino", 4, (4,), 1), ("openvino", None, (), 2), ("torch", 4, (), 2)]
)
def test_torch_keeps_its_threads_unless_it_makes_maps_alone(monkeypatch, torch_threads, engine, threads, given, after):
    """If another engine scores with a number of threads, torch maps as many objects at a time, each in one thread."""
    torch.set_num_threads(2)
    card, calls = read_card(PACKAGE), []

    class Mapper:
        def maps(self, stamps):
            return stamps

    monkeypatch.setattr(candidate_maps, "candidate_mapper", lambda *made: (calls.append(made), Mapper())[1])
    assert LateMapper(PACKAGE, card, engine, threads).maps({}) == {}
    assert calls == [(PACKAGE, card, *given)]
    # A thread takes the number that holds when it first needs torch.
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result() == after


def test_a_package_without_its_weights_is_named(tmp_path):
    mapper = LateMapper(tmp_path, read_card(PACKAGE), "openvino", 1)
    for _ in range(2):
        with pytest.raises(PackageError, match=r"safetensors: cannot be read"):
            mapper.maps({})
