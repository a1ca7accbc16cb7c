"""A probability beside its prior, in words for people."""


def one_in(prevalence: float) -> str:
    """Return the number of objects among which one is a lens, to three digits: `2000` for 0.0005."""
    return grouped(float(f"{1 / prevalence:.3g}"))


def prior_text(prevalence: float | None) -> str:
    """Return which fraction of lenses a probability assumes: `one object in 2000 is a lens`."""
    return "none; p_lens is not calibrated" if prevalence is None else f"one object in {one_in(prevalence)} is a lens"


def prior_words(p_lens: float, prevalence: float | None) -> str:
    """Return how far a probability is from its prior, such as `19 times the prior of 1 in 2000`.

    Args:
        p_lens: Probability of a lens, between 0 and 1.
        prevalence: Fraction of lenses that `p_lens` assumes; None if `p_lens` is not calibrated.
    """
    if prevalence is None:
        return "not calibrated"
    return f"{times_prior(p_lens, prevalence)} the prior of 1 in {one_in(prevalence)}"


def times_prior(p_lens: float, prevalence: float) -> str:
    """Return how many times its prior a probability is, as `19 times`; arguments as for `prior_words`."""
    times = float(f"{p_lens / prevalence:.2g}")
    if times == 1:
        return "equal to"
    return "less than 0.01 times" if times < 0.01 else f"{grouped(times)} times"


def rounded(number: float) -> str:
    """Return a number to two digits, as people say it: `35 000`, `0.12`."""
    return grouped(float(f"{number:.2g}"))


def grouped(number: float) -> str:
    """Return a number with its thousands apart from 10 000 on, and without trailing zeros after a point."""
    return f"{number:,.0f}".replace(",", " ") if number >= 10_000 else f"{number:.6g}"
