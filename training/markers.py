"""JSON files that are written last, after the files that they stand for: where one is missing, those are incomplete."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.store.files import replace_whole


def read_marker(path: Path) -> dict[str, Any] | None:
    """Return what the marker says; None if there is none, or if it cannot be read: a full disk may have cut it off."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_marker(path: Path, content: Mapping[str, Any]) -> None:
    """Write a marker whole, or leave none behind.

    Raises:
        OSError: the file cannot be written.
    """
    with replace_whole(path) as part:
        part.write_text(json.dumps(content), encoding="utf-8")
