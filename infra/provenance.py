"""Identify the code and the inputs of a result by digests: two digests are equal exactly when the contents are."""

import functools
import hashlib
import importlib.metadata
import json
from pathlib import Path

_PACKAGES = ("infra", "scanner")
"""The packages whose code, and whose descriptions of surveys, can change a score."""


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(obj: object) -> bytes:
    """Return JSON in one canonical form: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: JSON cannot represent a value.
    """
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(obj: object) -> str:
    """Return the SHA-256 of `canonical_json(obj)`."""
    return sha256_bytes(canonical_json(obj))


@functools.cache
def code_version() -> str:
    """Return `<release>+<12 hex digits of the source>`; it changes with the code, even between releases and without git."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(path for package in _PACKAGES for kind in ("*.py", "*.toml") for path in (root / package).rglob(kind))
    source = digest([[path.relative_to(root).as_posix(), sha256_bytes(path.read_bytes())] for path in files])
    return f"{importlib.metadata.version('lensscan')}+{source[:12]}"
