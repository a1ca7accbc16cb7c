"""The four Euclid bands: how each detector and filter responds to light.

Code addresses bands by name. Bands have an order only where a network declares one (`networks.card`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

AB_ZERO_POINT_UJY = 23.9
"""AB magnitude of 1 microjansky (Oke & Gunn 1983)."""


@dataclass(frozen=True)
class Band:
    """One photometric band of one instrument, in the units of Euclid MER mosaics (ADU/s)."""

    name: str
    pixel_scale_arcsec: float
    """Side of a native detector pixel, in arcsec."""
    zero_point_ab_mag: float
    """AB magnitude of 1 ADU/s in the coadd."""
    exposure_s: float
    """Total exposure time of the Wide survey coadd: four dithers."""
    sky_ab_mag_arcsec2: float
    read_noise_electrons: float
    """Read noise of one native pixel in one exposure."""
    n_exposures: int
    gain_electrons_per_adu: float
    """Electrons collected per ADU of the coadd's flux scale: relates the sky's brightness to the shot noise."""
    psf_fwhm_arcsec: float
    """Median FWHM measured on MER PSF stamps of Q1."""
    reference: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value <= 0:
                raise ValueError(f"band {self.name}: {field.name} must be > 0, got {value}")
        if not self.reference:
            raise ValueError(f"band {self.name}: reference must cite the source of the numbers")

    @property
    def sky_electrons_per_pixel(self) -> float:
        """Electrons that one native pixel collects from the sky over the whole exposure."""
        flux = self.adu_per_s(self.sky_ab_mag_arcsec2) * self.pixel_scale_arcsec**2
        return flux * self.gain_electrons_per_adu * self.exposure_s

    @property
    def noise_electrons_per_pixel(self) -> float:
        """Standard deviation of an empty native pixel over the whole exposure, in electrons: sky shot noise and read noise."""
        return (self.sky_electrons_per_pixel + self.n_exposures * self.read_noise_electrons**2) ** 0.5

    @property
    def electrons_per_adu_per_s(self) -> float:
        """Electrons that a flux of 1 ADU/s yields over the whole exposure."""
        return self.gain_electrons_per_adu * self.exposure_s

    def flux_ujy(self, adu_per_s: float, zero_point_ab_mag: float | None = None) -> float:
        """Return the flux density in microjansky of a flux in ADU/s, at the file's zero point (default: the band's)."""
        zero_point = self.zero_point_ab_mag if zero_point_ab_mag is None else zero_point_ab_mag
        return adu_per_s * 10 ** (-0.4 * (zero_point - AB_ZERO_POINT_UJY))

    def adu_per_s(self, ab_mag: float) -> float:
        """Return the total flux in ADU/s of a source of the given AB magnitude."""
        return 10 ** (-0.4 * (ab_mag - self.zero_point_ab_mag))


_VIS_REFERENCE = (
    "Cropper et al. 2025 (Euclid II, VIS): 4 x 566 s, 0.1 arcsec, gain 3.5 e/ADU, read noise 3.2 e; sky 22.18 mag/arcsec2, "
    "the noise of blank Q1 MER fields (Scaramella et al. 2022, table 2: 22.35); MAGZERO 24.6 and FWHM 0.18 arcsec measured on "
    "Q1 MER files"
)
_NISP_REFERENCE = (
    "Jahnke et al. 2025 (Euclid III, NISP): 4 x 87 s, 0.3 arcsec, read noise 6.1 e; sky the noise of blank Q1 MER fields "
    "(Scaramella et al. 2022: 22.10, 22.11, 22.28); "
    "MAGZERO and FWHM measured on Q1 MER files; gain from MAGZERO and the zero points for 1 e/s, 25.04, 25.26 and 25.21 "
    "(Schirmer et al. 2022)"
)

VIS = Band("VIS", 0.1, 24.6, 2264.0, 22.18, 3.2, 4, 3.5, 0.18, _VIS_REFERENCE)
Y = Band("Y", 0.3, 29.8, 348.0, 22.03, 6.1, 4, 0.01247, 0.46, _NISP_REFERENCE)
J = Band("J", 0.3, 30.0, 348.0, 22.11, 6.1, 4, 0.01271, 0.47, _NISP_REFERENCE)
H = Band("H", 0.3, 29.9, 348.0, 22.10, 6.1, 4, 0.01330, 0.50, _NISP_REFERENCE)


@dataclass(frozen=True)
class BandSet(Mapping[str, Band]):
    """Bands by name; iteration follows the given order, look-up does not depend on the order."""

    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        names = [band.name for band in self.bands]
        if len(set(names)) != len(names):
            raise ValueError(f"band names must be unique, got {names}")

    def __getitem__(self, name: str) -> Band:
        for band in self.bands:
            if band.name == name:
                return band
        raise KeyError(f"band {name!r} is not one of {[band.name for band in self.bands]}")

    def __iter__(self) -> Iterator[str]:
        return (band.name for band in self.bands)

    def __len__(self) -> int:
        return len(self.bands)


EUCLID = BandSet((VIS, Y, J, H))
