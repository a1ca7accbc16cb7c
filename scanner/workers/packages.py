"""The folders of the ensembles that the workers of a scan load."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Packages:
    """Folders of the ensembles that a plan names."""

    first: Path
    second: Path | None = None
