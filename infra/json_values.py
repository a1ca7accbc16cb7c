"""Values as JSON can express them."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """Return a value, or the same lists and dicts, with null for NaN and infinities, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value
