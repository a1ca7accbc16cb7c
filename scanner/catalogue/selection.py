"""The part of a survey that a scan takes: tiles by name or by place on the sky, and sources of these tiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from infra.frozen import Frozen
from infra.store.storage import read_bytes
from scanner.catalogue.units import MAX_EXAMPLES, PlanError
from scanner.vocabulary.choices import MATCH_RADIUS_ARCSEC, MOST_MATCH_RADIUS_ARCSEC


class Circle(Frozen, allow_inf_nan=False):
    """A circle on the sky."""

    ra_deg: float = Field(ge=-360, le=360)
    dec_deg: float = Field(ge=-90, le=90)
    radius_deg: float = Field(gt=0, le=180)

    @classmethod
    def of(cls, option: str, ra_deg: float, dec_deg: float, radius_deg: float) -> Self:
        """Return the circle that an option gives.

        Raises:
            PlanError: it is not on the sky; the message names the option.
        """
        try:
            return cls(ra_deg=ra_deg, dec_deg=dec_deg, radius_deg=radius_deg)
        except ValidationError as error:
            first = error.errors()[0]
            raise PlanError(f"{option}: {first['loc'][0]}: {first['msg']}, got {first['input']}") from error

    def contains(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which positions `[n]` lie in the circle, its edge included.

        The haversine formula keeps its precision at small angles and at the poles.
        """
        dec, middle = np.radians(dec_deg), np.radians(self.dec_deg)
        half_ra = np.radians(ra_deg - self.ra_deg) / 2
        chord = np.sin((dec - middle) / 2) ** 2 + np.cos(dec) * np.cos(middle) * np.sin(half_ra) ** 2
        return np.asarray(chord <= np.sin(np.radians(self.radius_deg) / 2) ** 2)

    def __str__(self) -> str:
        return f"{self.radius_deg:g} deg of RA {self.ra_deg:g}, Dec {self.dec_deg:g}"


class Selection(Frozen):
    """Selected tiles, and selected sources of these: those that meet every condition that is given."""

    tiles: tuple[str, ...] = ()
    """Numbers of tiles; empty for all."""
    circle: Circle | None = None
    """Circle in which at least one source of a tile must lie."""
    catalogues_uri: str | None = None
    """Folder or `s3://` prefix of the tiles' catalogues, if they do not lie under that of the mosaics."""
    where: str | None = None
    """Condition that a source must meet, or the name of one in `SOURCE_PRESETS`."""
    moc_uri: str | None = None
    """MOC in which a source must lie: only tiles with such a source are taken, and of these only such sources."""
    targets_uri: str | None = None
    """Table of positions: of each, the nearest source is taken, and only tiles with such a source."""
    match_radius_arcsec: float = Field(default=MATCH_RADIUS_ARCSEC, gt=0, le=MOST_MATCH_RADIUS_ARCSEC)
    """Largest distance of a source from its target."""
    columns: tuple[str, ...] | None = None
    """Columns of the tiles' catalogues that the scan's catalogue carries; None for those of `MER_COLUMNS` that there are."""

    @property
    def is_partial(self) -> bool:
        """Whether tiles may be left out."""
        return bool(self.tiles) or self.circle is not None

    @property
    def reads_sources(self) -> bool:
        """Whether it needs columns or positions of sources, which only tiles have."""
        return any(given is not None for given in (self.where, self.moc_uri, self.targets_uri)) or bool(self.columns)

    @property
    def place(self) -> str:
        """Say where a tile must have a source; empty for anywhere."""
        within = "" if self.circle is None else f"within {self.circle}"
        inside = "" if self.moc_uri is None else f"inside the MOC {self.moc_uri}"
        return " and one ".join(filter(None, (within, inside)))

    def check_known(self, known: Sequence[str]) -> None:
        """Check that the input has the selected tiles.

        Raises:
            PlanError: it lacks one of them; the message names some.
        """
        if unknown := sorted(set(self.tiles) - set(known)):
            some, there = (", ".join(names[:MAX_EXAMPLES]) for names in (unknown, sorted(known)))
            raise PlanError(
                f"{len(unknown)} of the selected tiles are not in the input: {some}; it holds tiles such as {there}"
            )


EVERYTHING = Selection()


def column_names(text: str | None) -> tuple[str, ...] | None:
    """Return the names in a list such as `flux_vis_psf, kron_radius`, in lower case; nothing for `none`.

    Raises:
        PlanError: the list is empty, or names a column twice.
    """
    if text is None or text.strip().lower() == "none":
        return None if text is None else ()
    names = [name.strip().strip('"').lower() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise PlanError(f"--columns: must be different names separated by commas, or none, got {text!r}")
    return tuple(names)


def tiles_in_file(path: Path, *, are_numbers: bool = True) -> tuple[str, ...]:
    """Read the numbers of tiles from a text file: the first word of each line; lines that begin with `#` are comments.

    Without `are_numbers`, they may be any names, and the first line must be one too.

    Raises:
        PlanError: the file cannot be read, or holds no number.
    """
    try:
        lines = read_bytes(str(path)).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else "it is no text"
        raise PlanError(f"{path}: cannot be read: {reason}") from error
    words = [line.replace(",", " ").split()[0] for line in lines if line.strip(" ,") and not line.lstrip().startswith("#")]
    # The first line may be the header of a table.
    names = tuple(word for word in words[:1] if word.isdigit() or not are_numbers) + tuple(words[1:])
    if not names or (are_numbers and not all(name.isdigit() for name in names)):
        odd = next((name for name in names if not name.isdigit()), "nothing")
        raise PlanError(f"{path}: must hold the number of a tile in each line, such as 102018211, got {odd}")
    return tuple(dict.fromkeys(names))
