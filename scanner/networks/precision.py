"""The arithmetic that a network can run in."""

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""Arithmetic as catalogues record it; bfloat16 has the range of float32, with 8 significant bits instead of 24."""
