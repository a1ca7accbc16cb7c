"""Damage to a Parquet file that its length and its ends do not show."""


def with_damaged_footer(data):
    """Return the bytes of a Parquet file with a footer that cannot be decoded; Arrow then raises OSError."""
    return data[:-20] + b"\xff" * 12 + data[-8:]
