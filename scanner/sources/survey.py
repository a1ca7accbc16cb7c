"""A survey in words that the scanner understands: names of its files, its bands, its pixels and its source catalogues."""

import re
import tomllib
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from infra.errors import LensscanError
from infra.frozen import Frozen
from scanner.sources.name_patterns import PatternError, name_pattern
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.calibration import is_calibrated_for
from scanner.vocabulary.rejections import RejectCode, Rejection

if TYPE_CHECKING:
    # Not imported: it takes long, and commands that need no FITS file import this file, too.
    from astropy.io.fits import Header

SURVEYS_DIR = Path(__file__).with_name("surveys")
"""Folder of the descriptions that come with the program."""
SURVEY_SUFFIX = ".toml"
"""Ending of a file that describes a survey; no shipped survey has a name that ends so."""
_AB_MAG_OF_UNIT = {"nJy": 31.4, "uJy": 23.9, "mJy": 16.4, "Jy": 8.9}
"""AB magnitude of one unit of flux density (Oke & Gunn 1983)."""
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=64)]
_Acronym = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", max_length=32)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_Keyword = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_-]{1,8}$")]


class SurveyError(LensscanError, ValueError):
    """There is no such survey, or its description cannot be used."""


class MosaicFiles(Frozen):
    """The images: one file for each tile and band, north up or not."""

    file: _Text
    """Form of the files' names, with `{tile}` and `{band}`; or a regular expression with groups of these names."""
    hdu: int | _Text | None = None
    """Name or number of the HDU with the image, 0 for the primary one; by default the first 2-D image."""
    pixel_scale_arcsec: float | None = Field(default=None, ge=0.005, le=5)
    """Side of a pixel; by default that of the header."""
    zero_point_keyword: _Keyword | None = None
    """Keyword with the AB magnitude of one unit of the pixels."""
    zero_point_ab_mag: float | None = Field(default=None, ge=-100, le=100)
    """AB magnitude of one unit of the pixels, if it is the same in all files."""
    unit: Literal["nJy", "uJy", "mJy", "Jy"] | None = None
    """Unit of the pixels, which also says their zero point."""

    @model_validator(mode="after")
    def _one_zero_point(self) -> Self:
        given = [name for name in ("zero_point_keyword", "zero_point_ab_mag", "unit") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(given)}, not {len(given)}")
        return self

    @property
    def extension(self) -> str:
        """Name or number of the HDU as in a reference; empty for the first image."""
        return "" if self.hdu is None else str(self.hdu)

    def zero_point_of(self, header: "Header", label: str) -> float:
        """Return the AB magnitude of one unit of an image with this header; `label` begins the message.

        Raises:
            Rejection: NO_ZERO_POINT.
        """
        constant = self.zero_point_ab_mag if self.unit is None else _AB_MAG_OF_UNIT[self.unit]
        if constant is not None:
            return constant
        if self.zero_point_keyword is None:
            raise Rejection(RejectCode.NO_ZERO_POINT, f"{label}: the description of the survey states no zero point")
        # Imported here, as above.
        from scanner.files.fits_image import header_zero_point_ab_mag

        return header_zero_point_ab_mag(header, label, self.zero_point_keyword)


class CatalogueFiles(Frozen):
    """The source catalogues: one table for each tile, as FITS, Parquet or CSV."""

    file: _Text
    """Form of the files' names, with `{tile}`; or a regular expression with a group of this name."""
    like: str = ""
    """Form of the names in messages, where `file` is a regular expression; `{tile}` stands for the tile."""
    id: _Text | None = None
    """Column of integers that identify objects in the whole survey; without it, ids are made from positions."""
    ra: _Text
    """Column of right ascensions, ICRS; upper and lower case are the same."""
    dec: _Text
    """Column of declinations."""
    unit: Literal["deg", "rad"] = "deg"
    """Unit of both."""


class Survey(Frozen):
    """A description of a survey, by which a scan reads its tiles."""

    name: _Name
    acronym: _Acronym | None = Field(default=None, exclude_if=lambda value: value is None)
    """First word of the names of its candidates; by default that of `acronym_of_names`."""
    reference: str = Field(default="", max_length=2000)
    """Source of these facts."""
    bands: dict[str, _Text]
    """Band in the names of files by band of the networks; one band of the survey may stand for several."""
    mosaics: MosaicFiles
    catalogue: CatalogueFiles | None = None
    """Source catalogues; without them, positions of a table can be scored, and tiles cannot be scanned."""

    @field_validator("bands")
    @classmethod
    def _known_bands(cls, bands: dict[str, str]) -> dict[str, str]:
        if unknown := [band for band in bands if band not in EUCLID]:
            raise ValueError(f"unknown band {unknown[0]}; the bands of the networks are {', '.join(EUCLID)}")
        if not bands:
            raise ValueError(f"needs at least one of {', '.join(EUCLID)}")
        # One order of equal descriptions, in plans and in what people read.
        return {band: bands[band] for band in EUCLID if band in bands}

    @model_validator(mode="after")
    def _patterns(self) -> Self:
        _ = self.mosaic_pattern, self.catalogue_pattern
        return self

    @property
    def acronym_of_names(self) -> str:
        """First word of the names of candidates, which says who found them: Euclid's acronym in Euclid's tiles alone."""
        # Not a key of Euclid's own description: copies of it that people have would differ from it, and get other plans.
        return self.acronym or ("EUCL" if is_calibrated_for(self.name) else "LENSSCAN")

    @property
    def mosaic_pattern(self) -> re.Pattern[str]:
        """Pattern of a mosaic's whole file name, with the groups `tile` and `band`, and perhaps `stamp` and `version`."""
        return _pattern("mosaics.file", self.mosaics.file, tuple(self.bands.values()), ("tile", "band"))

    @property
    def catalogue_pattern(self) -> re.Pattern[str] | None:
        """Pattern of a catalogue's whole file name, with the group `tile`, and perhaps `stamp` and `version`."""
        return None if self.catalogue is None else _pattern("catalogue.file", self.catalogue.file, (), ("tile",))

    def catalogue_name(self, tile_id: str) -> str:
        """Return the form of the name of a tile's catalogue."""
        of = self.catalogue
        return "" if of is None else (of.like or of.file).replace("{tile}", tile_id)

    def sources_of_bands(self) -> str:
        """Say which band of the survey stands for which band of the networks."""
        return ", ".join(band if band == of else f"{band} from {of}" for band, of in self.bands.items())


def _pattern(key: str, file: str, bands: tuple[str, ...], needed: tuple[str, ...]) -> re.Pattern[str]:
    try:
        return name_pattern(file, bands, needed)
    except PatternError as error:
        raise ValueError(f"{key}: {error}") from error


def find_survey(name: str | None) -> Survey:
    """Return the survey with a name, or the one that a TOML file describes; by default Euclid's MER tiles.

    Raises:
        SurveyError: there is no such survey or file, or the file does not describe a survey.
        StorageError: the store failed.
    """
    if name is None:
        return EUCLID_MER
    if name in shipped_surveys():
        return shipped_survey(name)
    if not name.endswith(SURVEY_SUFFIX):
        close = get_close_matches(name, shipped_surveys(), n=1)
        meant = f"; did you mean {close[0]}?" if close else "."
        raise SurveyError(f"no survey {name!r}{meant} Surveys: {', '.join(shipped_surveys())}, or a file *{SURVEY_SUFFIX}")
    # Imported here: a list of surveys needs no store.
    from infra.store.storage import read_bytes

    try:
        data = read_bytes(name)
    except FileNotFoundError as error:
        raise SurveyError(f"{name}: no such file") from error
    return parse_survey(data, name)


def shipped_surveys() -> list[str]:
    """Return the names of the surveys whose descriptions come with the program."""
    return sorted(path.stem for path in SURVEYS_DIR.glob(f"*{SURVEY_SUFFIX}"))


def shipped_text(name: str) -> str:
    """Return the description of a shipped survey, as a TOML file."""
    return (SURVEYS_DIR / f"{name}{SURVEY_SUFFIX}").read_text(encoding="utf-8")


@cache
def shipped_survey(name: str) -> Survey:
    """Return a survey whose description comes with the program."""
    return parse_survey(shipped_text(name).encode(), name)


def parse_survey(data: bytes, label: str) -> Survey:
    """Return the survey that a TOML file describes; `label` begins the messages.

    Raises:
        SurveyError: the file is not TOML, a key is missing or unknown, or a value cannot be used.
    """
    try:
        return Survey.model_validate(tomllib.loads(data.decode()))
    except UnicodeDecodeError as error:
        raise SurveyError(f"{label}: is no text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SurveyError(f"{label}: no TOML: {error}") from error
    except ValidationError as error:
        raise SurveyError(f"{label}: {_first_mistake(error)}") from error


def _first_mistake(error: ValidationError) -> str:
    first = error.errors()[0]
    # A value that may have several types is wrong for each of them; the key is what the user knows.
    key = ".".join(part for part in map(str, first["loc"]) if part not in {"int", "constrained-str"})
    if first["type"] == "missing":
        return f"needs the key {key}"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}"
    said = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "value_error" else f", got {first['input']!r}"[:200]
    return f"{key}: {said}{got}" if key else f"{said}{got}"


EUCLID_MER = shipped_survey("euclid-mer")
"""The default: tiles in the layout of Euclid's MER products."""
