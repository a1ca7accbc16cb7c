"""Files of a tile in the layout of Euclid MER: names, headers, object identifiers. Bytes depend on the content alone."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from scanner.files.parquet_checked import BadParquetError, errors_as_bad_parquet
from scanner.sources.shards import TRUTH_FIELDS
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER_PIXEL_ARCSEC, Image

MOSAICS: Mapping[str, str] = MappingProxyType(
    {
        "VIS": "BGSUB-MOSAIC-VIS",
        "Y": "BGSUB-MOSAIC-NIR-Y",
        "J": "BGSUB-MOSAIC-NIR-J",
        "H": "BGSUB-MOSAIC-NIR-H",
    }
)
"""Band name to product name."""
FLUX_COLUMNS: Mapping[str, str] = MappingProxyType(
    {"VIS": "FLUX_DETECTION_TOTAL", "Y": "FLUX_Y_TEMPLFIT", "J": "FLUX_J_TEMPLFIT", "H": "FLUX_H_TEMPLFIT"}
)
"""Band name to the column of total fluxes."""
CATALOGUE_PRODUCT = "FINAL-CAT"
_CREATED = "20260101T000000.000000Z"
"""Fixed date in file names: simulations have no date of their own, and equal ones have equal names."""
_CHECKSUM_COMMENT = "HDU checksum"
_PIXEL_SCALE_DEG = MER_PIXEL_ARCSEC / 3600
_SPEC_KEY = b"lensscan.tile_spec"


@dataclass(frozen=True)
class Pointing:
    """A tangential projection about the centre of a square mosaic, north up and east left."""

    ra_deg: float
    dec_deg: float
    side_pixels: int

    def header(self) -> fits.Header:
        """Return the world coordinates of the mosaic, with a CD matrix as in MER files."""
        header = fits.Header()
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
        header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
        header["CRVAL1"], header["CRVAL2"] = self.ra_deg, self.dec_deg
        header["CRPIX1"] = header["CRPIX2"] = (self.side_pixels + 1) / 2
        header["CD1_1"], header["CD1_2"] = -_PIXEL_SCALE_DEG, 0.0
        header["CD2_1"], header["CD2_2"] = 0.0, _PIXEL_SCALE_DEG
        header["RADESYS"] = "ICRS"
        return header

    def sky(self, x: Sequence[float], y: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return right ascension and declination in degrees of pixels counted from 0."""
        ra, dec = WCS(self.header()).all_pix2world(np.asarray(x, float), np.asarray(y, float), 0)
        return np.asarray(ra), np.asarray(dec)


def file_name(product: str, tile_id: str, spec: str) -> str:
    """Return the file name of a product of a tile; six hexadecimal digits distinguish specs."""
    token = hashlib.sha256(spec.encode()).hexdigest()[:6].upper()
    return f"EUC_MER_{product}_TILE{tile_id}-{token}_{_CREATED}_00.00.fits"


def object_ids(pointing: Pointing, x: Sequence[float], y: Sequence[float]) -> NDArray[np.int64]:
    """Return MER identifiers: the digits of right ascension and declination in units of 1e-7 degrees, negative in the south."""
    ra, dec = (np.rint(np.atleast_1d(angle) * 1e7).astype(np.int64) for angle in pointing.sky(x, y))
    magnitude = ra * 10**9 + np.abs(dec)
    return np.where(dec < 0, -magnitude, magnitude)


def mosaic_bytes(pixels: Image, band: str, pointing: Pointing) -> bytes:
    """Return a FITS file with the image `[y, x]` in the primary HDU."""
    header = pointing.header()
    header["BUNIT"] = "ADU/s"
    header["MAGZERO"] = (EUCLID[band].zero_point_ab_mag, "AB magnitude of 1 ADU/s")
    header["FILTER"] = band
    header["ORIGIN"] = ("lensscan", "simulated, not observed")
    return _with_checksums(fits.HDUList([fits.PrimaryHDU(pixels, header)]))


def catalogue_bytes(
    ids: NDArray[np.int64],
    pointing: Pointing,
    x: Sequence[float],
    y: Sequence[float],
    flux_ujy: Mapping[str, Sequence[float]],
) -> bytes:
    """Return the source catalogue. Positions and fluxes (by band, `[n]` each) are the true ones: there is no detection step."""
    ra, dec = pointing.sky(x, y)
    always = {"VIS_DET": 1, "SPURIOUS_FLAG": 0}
    columns = [
        fits.Column("OBJECT_ID", "K", array=ids),
        fits.Column("RIGHT_ASCENSION", "D", unit="deg", array=ra),
        fits.Column("DECLINATION", "D", unit="deg", array=dec),
        *(
            fits.Column(FLUX_COLUMNS[band], "E", unit="uJy", array=np.asarray(flux, np.float32))
            for band, flux in flux_ujy.items()
        ),
        *(fits.Column(name, "I", array=np.full(len(ids), value, np.int16)) for name, value in always.items()),
        fits.Column("POINT_LIKE_PROB", "E", array=np.zeros(len(ids), np.float32)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header["ORIGIN"] = ("lensscan", "simulated, not observed")
    return _with_checksums(fits.HDUList([fits.PrimaryHDU(), table]))


def truth_bytes(ids: NDArray[np.int64], truth: Sequence[Mapping[str, Any]], spec: str) -> bytes:
    """Return Parquet with `object_id` and the truth columns of shards, in catalogue order, and the spec in its metadata."""
    schema = pa.schema([pa.field("object_id", pa.int64(), nullable=False), *TRUTH_FIELDS], {_SPEC_KEY: spec.encode()})
    columns = [pa.array(ids, pa.int64())]
    columns += [pa.array([row.get(f.name) for row in truth], f.type) for f in TRUTH_FIELDS]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink)
    return sink.getvalue()


def read_truth_spec(data: bytes) -> str:
    """Return the spec in a truth file's metadata; empty if the file has no spec, or is damaged."""
    try:
        with errors_as_bad_parquet():
            metadata = pq.read_metadata(pa.BufferReader(data)).metadata or {}
    except BadParquetError:
        return ""
    return metadata.get(_SPEC_KEY, b"").decode(errors="replace")


def _with_checksums(hdus: fits.HDUList) -> bytes:
    for hdu in hdus:
        # The default comment is the current time, which would change the bytes.
        hdu.add_checksum(when=_CHECKSUM_COMMENT)
    sink = io.BytesIO()
    hdus.writeto(sink)
    return sink.getvalue()
