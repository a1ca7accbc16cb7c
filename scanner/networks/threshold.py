"""The threshold that a person asks for: a number, or the name of one of the cuts of an ensemble."""

from typing import Annotated

from pydantic import Field

from scanner.vocabulary.choices import CutName

Threshold = Annotated[float, Field(ge=0, le=1)] | CutName
"""Smallest `p_lens` of candidates, or the name of the ensemble's cut."""
