"""Numbers beyond a limit, with enough digits to show it."""

_MOST_DECIMALS = 15


def beyond(value: float, limit: float, decimals: int) -> str:
    """Return a value that is not the limit, with `decimals` or as many more as show on which side of the limit it lies."""
    for more in range(decimals, _MOST_DECIMALS):
        text = f"{value:.{more}f}"
        if (float(text) > limit) == (value > limit) and float(text) != limit:
            return text
    return f"{value!r}"
