"""The arithmetic that a network can run in."""

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""What is recorded in catalogues, and what has the same range with 8 bits instead of 24 for each number."""
