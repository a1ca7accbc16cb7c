"""Reads one band of one object from a FITS file: finds and checks the image, or rejects it with the reason."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyError

from scanner.files.fits_centre import PlainWcs, plain_wcs, position_of_middle
from scanner.files.fits_compression import check_compression
from scanner.files.fits_file import FitsFile, open_fits
from scanner.files.fits_hdus import Hdu
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.rejections import RejectCode, Rejection

MAX_CUTOUT_PIXELS = 4096**2
MAX_FILE_BYTES = 2**29
"""Largest file of cutouts, in bytes: the reader refuses larger ones unread; mosaics are read as tiles."""
MAX_KEPT_BYTES = 2**27
"""Largest total size of the files that stay in memory while the reader opens another."""
NON_SQUARE_TOLERANCE = 0.01

_ARCSEC_PER_UNIT: Mapping[str, float] = {"": 3600.0, "deg": 3600.0, "arcmin": 60.0, "arcsec": 1.0}


class FitsReader:
    """Reads bands and keeps the last few files in memory, so that four bands in one file cost one read."""

    def __init__(self, max_files: int = 2) -> None:
        self._max_files = max_files
        self._files: OrderedDict[str, FitsFile] = OrderedDict()

    def read_band(self, reference: str, pixel_scale_arcsec: float | None = None) -> BandImage:
        """Return the image at `URI` (its first 2-D image), `URI#EXTNAME` or `URI#3` (HDU number, 0 is the primary).

        Args:
            reference: Location of the image.
            pixel_scale_arcsec: Pixel scale that replaces the one in the header.

        Raises:
            Rejection: MISSING_FILE, IO_ERROR, FITS_UNREADABLE, FITS_TRUNCATED, MISSING_EXTENSION, WRONG_SHAPE, TOO_LARGE or
                NO_PIXEL_SCALE, naming the file and the extension.
        """
        uri, extension = split_reference(reference)
        file = self._open(uri)
        hdu = find_image(file, extension)
        check_image(file, hdu, MAX_CUTOUT_PIXELS)
        scale = pixel_scale_arcsec if pixel_scale_arcsec is not None else header_pixel_scale_arcsec(hdu.header, hdu.label)
        return BandImage(file.pixels(hdu), scale)

    def centre(self, reference: str) -> tuple[float, float] | None:
        """Return right ascension and declination, in deg, of the middle of an image; None without a plain WCS.

        Raises:
            Rejection: the file cannot be read, or has no such image.
        """
        wcs = self.wcs(reference)
        return None if wcs is None else position_of_middle(wcs)

    def wcs(self, reference: str) -> PlainWcs | None:
        """Return the WCS of an image; None unless it is a plain one.

        Raises:
            Rejection: the file cannot be read, or has no such image.
        """
        hdu = self.hdu(reference)
        return plain_wcs(hdu.header, hdu.shape)

    def hdu(self, reference: str) -> Hdu:
        """Return the HDU of an image, with its name and header.

        Raises:
            Rejection: the file cannot be read, or has no such image.
        """
        uri, extension = split_reference(reference)
        return find_image(self._open(uri), extension)

    def zero_point_ab_mag(self, reference: str) -> float:
        """Return the AB magnitude of one unit of the image, from MAGZERO in its header; there is no default.

        Raises:
            Rejection: as `read_band`, or NO_ZERO_POINT.
        """
        hdu = self.hdu(reference)
        return header_zero_point_ab_mag(hdu.header, hdu.label)

    def _open(self, uri: str) -> FitsFile:
        if uri not in self._files:
            while self._files and (len(self._files) >= self._max_files or self._n_bytes() > MAX_KEPT_BYTES):
                self._files.popitem(last=False)
            self._files[uri] = open_fits(uri, MAX_FILE_BYTES)
        self._files.move_to_end(uri)
        return self._files[uri]

    def _n_bytes(self) -> int:
        return sum(len(file.data) for file in self._files.values())


def split_reference(reference: str) -> tuple[str, str]:
    """Return the URI and the extension (empty if the reference names none)."""
    uri, separator, extension = reference.strip().rpartition("#")
    return (uri, extension.strip()) if separator else (extension, "")


def find_image(file: FitsFile, extension: str) -> Hdu:
    """Return the HDU with that name or number, or by default the first that holds a 2-D image.

    Raises:
        Rejection: MISSING_EXTENSION, FITS_TRUNCATED or WRONG_SHAPE.
    """
    for hdu in file.hdus:
        if is_image(hdu, extension):
            return hdu
    file.check_whole()
    raise no_extension(file.name, file.hdus, extension) if extension else no_image(file.name, file.hdus)


def is_image(hdu: Hdu, extension: str) -> bool:
    """Return whether an HDU has this name or number; or, without any, whether it holds a 2-D image."""
    return extension.upper() in {hdu.name, str(hdu.index)} if extension else len(hdu.shape) == 2


def check_image(file: FitsFile, hdu: Hdu, max_pixels: int) -> None:
    """Check that an HDU holds a whole, undamaged 2-D image of allowed size, before memory is allocated for it.

    Raises:
        Rejection: WRONG_SHAPE, TOO_LARGE, FITS_TRUNCATED or FITS_UNREADABLE.
    """
    check_shape(hdu, max_pixels)
    file.check_whole()
    file.check_sums(hdu)


def check_shape(hdu: Hdu, max_pixels: int) -> None:
    """Check that an HDU declares a 2-D image of allowed size and of a compression that the reader supports.

    Raises:
        Rejection: WRONG_SHAPE, TOO_LARGE or FITS_UNREADABLE.
    """
    if len(hdu.shape) != 2 or 0 in hdu.shape:
        raise Rejection(RejectCode.WRONG_SHAPE, f"{hdu.label}: must be a 2-D image, its shape is {hdu.shape}")
    if math.prod(hdu.shape) > max_pixels:
        raise Rejection(RejectCode.TOO_LARGE, f"{hdu.label}: {hdu.shape} is more than {max_pixels} pixels")
    if hdu.is_compressed:
        check_compression(hdu.label, hdu.header)
    elif hdu.data_size < math.prod(hdu.shape) * hdu.dtype.itemsize:
        raise Rejection(
            RejectCode.FITS_UNREADABLE, f"{hdu.label}: {hdu.shape} pixels need more than {hdu.data_size} bytes of data"
        )


def no_image(name: str, hdus: Iterable[Hdu]) -> Rejection:
    """Return the rejection of a file without a two-dimensional image."""
    shapes = ", ".join(str(hdu.shape) for hdu in hdus if hdu.shape) or "none"
    return Rejection(RejectCode.WRONG_SHAPE, f"{name}: no 2-D image; shapes of its images: {shapes}")


def no_extension(name: str, hdus: Iterable[Hdu], extension: str) -> Rejection:
    """Return the rejection of a file without an HDU of this name or number."""
    # Similar names come first: a long detail is cut.
    likeliest = sorted(hdus, key=lambda hdu: extension.upper() not in hdu.name)
    names = ", ".join(hdu.name or str(hdu.index) for hdu in likeliest)
    return Rejection(RejectCode.MISSING_EXTENSION, f"{name}: no extension {extension[:40]!r}; it has {names}")


def header_zero_point_ab_mag(header: Header, label: str, keyword: str = "MAGZERO") -> float:
    """Return a card of a header: the AB magnitude of one unit of the image.

    Raises:
        Rejection: NO_ZERO_POINT.
    """
    try:
        value = header.get(keyword)
    except VerifyError as error:
        raise Rejection(RejectCode.NO_ZERO_POINT, f"{label}: {keyword} must be a number") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Rejection(RejectCode.NO_ZERO_POINT, f"{label}: {keyword} must be a finite number, got {value!r}")
    return float(value)


def header_pixel_scale_arcsec(header: Header, label: str) -> float:
    """Return the pixel scale of a celestial WCS (CD, or CDELT with PC), else the keyword PIXSCALE.

    This function reads the matrix itself, because wcslib has crashed on malformed headers.

    Raises:
        Rejection: NO_PIXEL_SCALE, the header states no scale or pixels are not square.
    """
    try:
        scale_x, scale_y = _wcs_scales_arcsec(header)
        stated = float(header.get("PIXSCALE", 0))
    except (TypeError, ValueError, VerifyError) as error:
        raise Rejection(RejectCode.NO_PIXEL_SCALE, f"{label}: the header's pixel scale is not a number") from error
    if scale_x > 0 and scale_y > 0:
        if abs(scale_x / scale_y - 1) > NON_SQUARE_TOLERANCE:
            detail = f"{label}: pixels must be square, they are {scale_x:.4g} x {scale_y:.4g} arcsec"
            raise Rejection(RejectCode.NO_PIXEL_SCALE, detail)
        return math.sqrt(scale_x * scale_y)
    if stated > 0:
        return stated
    raise Rejection(RejectCode.NO_PIXEL_SCALE, f"{label}: neither a celestial WCS nor PIXSCALE in the header; give one")


def _wcs_scales_arcsec(header: Header) -> tuple[float, float]:
    """Return the lengths of the columns of the linear transform (Greisen & Calabretta 2002, eq. 1); zeros without a WCS."""
    if not all(_is_celestial(header.get(f"CTYPE{axis}")) for axis in (1, 2)):
        return 0.0, 0.0
    has_cd = any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2))
    has_cdelt = any(f"CDELT{i}" in header or f"PC{i}_{i}" in header for i in (1, 2))
    if not (has_cd or has_cdelt):
        return 0.0, 0.0
    columns: list[float] = []
    for j in (1, 2):
        terms: list[float] = []
        for i in (1, 2):
            unit = _ARCSEC_PER_UNIT.get(str(header.get(f"CUNIT{i}", "")).strip().lower(), 0.0)
            if has_cd:
                element = float(header.get(f"CD{i}_{j}", 0))
            else:
                element = float(header.get(f"CDELT{i}", 1)) * float(header.get(f"PC{i}_{j}", i == j))
            terms.append(unit * element)
        columns.append(math.hypot(*terms))
    return columns[0], columns[1]


def _is_celestial(axis_type: object) -> bool:
    return isinstance(axis_type, str) and axis_type[:4] in {"RA--", "DEC-", "GLON", "GLAT", "ELON", "ELAT"}
