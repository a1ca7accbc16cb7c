"""The names of the engines, apart from the settings, so that the command line starts without importing pydantic."""

from typing import Literal

EngineName = Literal["auto", "torch", "openvino", "cuda"]
"""Engines that can run the networks; `auto` selects the best that a machine has."""
