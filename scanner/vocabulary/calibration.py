"""The survey whose images `p_lens` is calibrated for, and the words about any other."""

from collections.abc import Sequence

CALIBRATED_SURVEY = "euclid-mer"
UNCALIBRATED = "p_lens is calibrated for images like Euclid's only"
"""Caveat of scores on the images of another survey."""


def is_calibrated_for(survey: str | None) -> bool:
    """Return whether `p_lens` is calibrated for the tiles of a survey; None stands for shards, whose images are simulated."""
    return survey in {None, CALIBRATED_SURVEY}


def warning_for(surveys: Sequence[str]) -> str | None:
    """Return the warning for numbers that rest on `p_lens`, in one line; None if no survey lacks a calibration."""
    if not surveys:
        return None
    return f"{', '.join(surveys)}: {UNCALIBRATED}; its prior, purities and numbers of lenses do not hold here"
