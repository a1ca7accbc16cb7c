"""The audit's defects that tests once missed, of `audit.toml`; each must make a test fail now.

Most are wiring defects: a tested part that is unused or gets the wrong argument, which mutation operators seldom produce.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CLASSES = {
    "a": "a parameter that does not arrive",
    "b": "a path that ignores what another path obeys",
    "c": "a column of candidates",
    "d": "data and units of a survey",
    "e": "what one step hands over to the next",
    "f": "a number for other people or programs, or a side effect",
}


@dataclass(frozen=True)
class Defect:
    """One replacement in one file."""

    id: str
    kind: str
    """One of `CLASSES`."""
    path: str
    test: str
    """The file with tests that notice it."""
    wrong: str
    """The wrong behaviour that the defect causes."""
    old: str
    new: str

    def applied_to(self, source: str) -> str:
        """Return the source with the defect.

        Raises:
            ValueError: the source changed, so that `old` does not occur in it exactly once.
        """
        n = source.count(self.old)
        if n != 1:
            raise ValueError(f"{self.id}: text to replace must occur once in {self.path}, occurs {n} times: {self.old!r}")
        return source.replace(self.old, self.new)


_FILE = Path(__file__).with_suffix(".toml")
DEFECTS = tuple(Defect(name, *entry) for name, entry in tomllib.loads(_FILE.read_text(encoding="utf-8")).items())
