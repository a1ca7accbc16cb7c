"""Sentences on a card that say what an ensemble is not fit for."""

SIMULATED_ALONE = (
    "Trained on simulations alone: its performance on real images must be measured before its candidates are trusted."
)
LENSES_ALONE = "Has learnt from lenses alone: p_lens means nothing. lensscan models combine --candidates adds it to a cascade."
KINDS_ARE_HINTS = (
    "The networks separate lenses from others only; kinds (single, compound_arc, double_ring) are guessed from the pattern of "
    "their outputs: treat subclass as a hint."
)


def mixture_limit(objects: str) -> str:
    """Return the limit of metrics that were measured on some objects, such as `the test split`."""
    return f"Metrics hold for the mixture of {objects}, where lenses and their look-alikes are far more common than on the sky."
