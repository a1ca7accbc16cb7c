"""The grades that a grader gives, with the definition that every page shows, and the reasons why an object is no lens."""

from typing import Literal, get_args

Grade = Literal["A", "B", "C", "X"]
Reason = Literal["merger", "spiral", "ring", "edge-on", "artefact", "star", "other"]

GRADES: tuple[Grade, ...] = get_args(Grade)
REASONS: tuple[Reason, ...] = get_args(Reason)
GRADE_MEANINGS: dict[Grade, str] = {
    "A": "Sure lens: arcs or counter-images that nothing but lensing makes",
    "B": "Probable lens: the features look lensed, and another explanation is possible but unlikely",
    "C": "Possible lens: some feature could be lensed, and another explanation is as likely",
    "X": "No lens: nothing looks lensed, or another explanation is clear",
}
REASON_MEANINGS: dict[Reason, str] = {
    "merger": "Merging or disturbed galaxies, tidal tails",
    "spiral": "Spiral arms",
    "ring": "Ring galaxy, or a ring of star formation",
    "edge-on": "Edge-on disc beside or across the galaxy",
    "artefact": "Flaw of the image: spike, ghost, satellite trail, masked or shifted band",
    "star": "Star or quasar",
    "other": "Another reason, such as a chance companion",
}
LENS_GRADES: tuple[Grade, ...] = ("A", "B")
"""Grades that count as the answer "lens" where only yes or no is asked."""
