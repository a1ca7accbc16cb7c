"""Choices name what exists: the aliases are written out, because a type checker does not read a table."""

from typing import get_args

from scanner.vocabulary.choices import GeometryName, TrainingPreset
from scanner.vocabulary.geometry import GEOMETRIES
from training.config import PRESETS


def test_geometry_names_are_those_of_the_geometries():
    assert get_args(GeometryName) == tuple(GEOMETRIES)


def test_training_presets_are_those_that_exist():
    assert set(get_args(TrainingPreset)) == set(PRESETS)
