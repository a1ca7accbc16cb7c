"""A probability as people read it."""


def probability_text(p: float, decimals: int = 3) -> str:
    """Return a probability with some decimals, or with two digits below 0.01: `0.250`, `0.0012`.

    One that would round to 1 is given as a limit, `> 0.999`, because no score is certain.
    """
    if p < 0.01:
        return f"{p:.2g}"
    text = f"{p:.{decimals}f}"
    return f"> {1 - 10**-decimals:.{decimals}f}" if float(text) == 1 else text
