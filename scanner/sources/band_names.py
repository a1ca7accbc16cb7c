"""Guess the band of an image from the name of its extension, from its FILTER keyword, or from the name of its file."""

import re

from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyError

from scanner.vocabulary.bands import EUCLID


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^A-Z0-9]+", text.upper()) if word]


_TOKENS = {f"{prefix}{band}": band for band in EUCLID for prefix in ("", *(() if band == "VIS" else ("NIR", "NISP")))}
_FILLERS = frozenset(
    _words("EUCLID EUC MER NIR NISP FLUX BGSUB SCI SCIENCE IMAGE IMG DATA CUTOUT STAMP MOSAIC BAND FILTER PRIMARY")
)
"""Words that may stand beside the band in the name of an image."""
_NO_IMAGE = frozenset(
    _words("PSF RMS WHT WEIGHT MASK FLAG FLAGS FLG ERR ERROR NOISE VAR VARIANCE IVAR BKG BACKGROUND BGMOD SEG SEGMAP DQ MODEL")
)
"""Words in the names of images that show no sky."""
_IN_FILE_NAME = re.compile(
    rf"(?<![A-Z0-9])(?P<sure>(?:NIR|NISP)[ _.-]?)?(?P<band>{'|'.join(EUCLID)})(?![A-Z0-9])", re.IGNORECASE
)
_SEPARATORS = re.compile(r"[ _.-]{2,}")


def shows_no_sky(name: str) -> bool:
    """Return whether an extension or file is named as a PSF, a noise map, a mask or the like."""
    return not _NO_IMAGE.isdisjoint(_words(name))


def band_of_name(text: str) -> str | None:
    """Return the band that a whole name stands for: `VIS_FLUX`, `NIR-Y`, `nir_h`, `J`; None for any other name."""
    words = [word for word in _words(text) if word not in _FILLERS]
    return _TOKENS.get(words[0]) if len(words) == 1 else None


def band_of_image(name: str, header: Header) -> str | None:
    """Return the band of an image, from its extension's name, else from FILTER or BAND in its header."""
    if shows_no_sky(name):
        return None
    stated = (_stated(header, key) for key in ("FILTER", "BAND"))
    return next((band for text in (name, *stated) if (band := band_of_name(text))), None)


def _stated(header: Header, key: str) -> str:
    """Return the text of a card; empty if there is none, or none that astropy can parse."""
    try:
        return str(header.get(key, ""))
    except VerifyError:
        return ""


def split_file_name(stem: str) -> tuple[str | None, str]:
    """Return the band in the name of a file, and the rest of the name; None and the whole name if it has no band, or several.

    For example `17_NIR-H_cutout` gives `H` and `17_cutout`.
    """
    found = list(_IN_FILE_NAME.finditer(stem))
    sure = [match for match in found if match["sure"] or len(match["band"]) > 1]
    chosen = sure or found
    if len(chosen) != 1:
        return None, stem
    (match,) = chosen
    rest = stem[: match.start()] + stem[match.end() :]
    return match["band"].upper(), _SEPARATORS.sub(lambda gap: gap[0][0], rest).strip(" _.-")
