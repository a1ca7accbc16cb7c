from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import uniform_filter
from scipy.special import erf

from infra.errors import LensscanError
from scanner.pixels.bands import EUCLID
from simulation.psf import MER_PSF_HDUS, ModelPsf, PsfError, SampledPsf, _without_pixel, model_psf, read_psf, read_psfs

REAL = Path(__file__).parents[2].parent / "shared" / "real"
real_files = sorted(REAL.glob("*.fits"))
needs_real = pytest.mark.skipif(not real_files, reason="real Euclid cutouts are not here")

BAND_PIXELS = [("VIS", 0.1), *((band, pixel) for band in ("Y", "J", "H") for pixel in (0.1, 0.3))]
RADII_ARCSEC = np.array([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])


def measured_fwhm(psf, pixel_arcsec, n_sub=25):
    """Diameter of the circle with the area above half of the peak, on samples n_sub times finer than pixels."""
    scale = pixel_arcsec / n_sub
    kernel = psf.kernel(scale, pixel_arcsec).astype(float)
    seen = uniform_filter(kernel, n_sub)
    middle = len(seen) // 2
    near = slice(middle - round(0.8 / scale), middle + round(0.8 / scale) + 1)
    seen = seen[near, near] if seen.shape[0] > near.stop else seen
    # Samples across the contour count in part: 0.5 where it runs through their centre.
    slope = np.sum(np.abs(np.gradient(seen)), axis=0) + 1e-30
    return 2 * np.sqrt(np.clip((seen - seen.max() / 2) / slope + 0.5, 0, 1).sum() * scale**2 / np.pi)


def on_pixels(psf, n, pixel_arcsec=0.1, n_sub=5):
    """A point source in the middle of a pixel, as n by n pixels see it."""
    kernel = np.pad(psf.kernel(pixel_arcsec / n_sub, pixel_arcsec).astype(float), n_sub * n)
    low = (len(kernel) - n_sub * n) // 2
    return kernel[low : low + n_sub * n, low : low + n_sub * n].reshape(n, n_sub, n, n_sub).sum(axis=(1, 3))


def encircled(stamp):
    axis = (np.arange(len(stamp)) - (len(stamp) - 1) / 2) * 0.1
    radius = np.hypot(axis[:, None], axis[None, :])
    return np.array([stamp[radius <= r + 1e-6].sum() for r in RADII_ARCSEC]) / stamp.sum()


def threefold(stamp, scale=0.1, within=0.3):
    """Complex three-fold moment, relative to the round one."""
    axis = (np.arange(len(stamp)) - (len(stamp) - 1) / 2) * scale
    z = axis[None, :] + 1j * axis[:, None]
    weight = stamp * np.exp(-(np.abs(z) ** 2) / (2 * within**2))
    return (weight * z**3).sum() / (weight * np.abs(z) ** 3).sum()


@pytest.mark.parametrize(("band", "pixel_arcsec"), BAND_PIXELS)
@pytest.mark.parametrize("scale", [0.05, 0.1])
def test_a_kernel_is_odd_sums_to_one_and_is_nowhere_negative(band, pixel_arcsec, scale):
    kernel = model_psf(band, 17.0).kernel(scale, pixel_arcsec)
    assert kernel.dtype == np.float32
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.sum(dtype=float) == pytest.approx(1, abs=1e-6)
    assert kernel.min() >= 0
    assert kernel[0].max() == 0, "no visible edge"


@pytest.mark.parametrize(("band", "pixel_arcsec"), BAND_PIXELS)
@pytest.mark.parametrize("factor", [0.85, 1.0, 1.2])
def test_the_width_with_the_pixel_is_the_asked_one(band, pixel_arcsec, factor):
    asked = EUCLID[band].psf_fwhm_arcsec * factor
    assert measured_fwhm(model_psf(band, 17.0, factor), pixel_arcsec) == pytest.approx(asked, rel=0.005)


@pytest.mark.parametrize("asked", [0.05, 2.0])
def test_a_width_that_no_core_gives_is_refused(asked):
    with pytest.raises(PsfError, match=rf"fwhm_arcsec in pixels of 0.1 arcsec must be in \[.*\], got {asked}"):
        ModelPsf(asked).kernel(0.05, 0.1)


@needs_real
@pytest.mark.parametrize("band", list(EUCLID))
def test_encircled_energy_is_that_of_real_stamps(band):
    stamps = [fits.getdata(path, MER_PSF_HDUS[band]).astype(float) for path in real_files]
    real = np.median([encircled(stamp) for stamp in stamps], axis=0)
    model = encircled(on_pixels(model_psf(band, 0.0), len(stamps[0])))
    np.testing.assert_allclose(model, real, atol=0.02)


@needs_real
def test_vis_is_as_threefold_as_real_stamps():
    real = np.median([abs(threefold(fits.getdata(path, "VIS_PSF").astype(float))) for path in real_files])
    assert abs(threefold(on_pixels(model_psf("VIS", 0.0), 21))) == pytest.approx(real, rel=0.1)


@pytest.mark.parametrize("angle", [0.0, 25.0, 100.0])
def test_the_three_corners_of_vis_follow_the_detector(angle):
    kernel = model_psf("VIS", angle).kernel(0.02, 0.1).astype(float)
    moment = threefold(kernel, 0.02)
    assert abs(moment) > 0.08
    assert np.degrees(np.angle(moment)) / 3 % 120 == pytest.approx(angle, abs=0.5)


def test_vis_is_invariant_under_a_third_of_a_turn_only():
    kernel = model_psf("VIS", 20.0).kernel(0.05, 0.1)
    np.testing.assert_allclose(model_psf("VIS", 140.0).kernel(0.05, 0.1), kernel, atol=1e-6 * kernel.max())
    assert np.abs(model_psf("VIS", 80.0).kernel(0.05, 0.1) - kernel).max() > 0.02 * kernel.max()
    # From x towards y is against the order of rows.
    quarter = model_psf("VIS", 110.0).kernel(0.05, 0.1)
    np.testing.assert_allclose(np.rot90(kernel, -1), quarter, atol=1e-6 * kernel.max())


@pytest.mark.parametrize("band", ["Y", "J", "H"])
def test_nisp_is_round(band):
    kernel = model_psf(band, 20.0).kernel(0.1, 0.3)
    np.testing.assert_allclose(np.rot90(kernel), kernel, atol=1e-7)
    np.testing.assert_array_equal(model_psf(band, 80.0).kernel(0.1, 0.3), kernel)


def gauss_in_pixels(n, sigma, x=0.0, y=0.0):
    """A Gaussian averaged over pixels, in closed form; lengths in pixels."""
    edges = np.arange(n + 1) - n / 2
    along_x, along_y = (np.diff(erf((edges - p) / (sigma * np.sqrt(2)))) / 2 for p in (x, y))
    return np.outer(along_y, along_x)


@pytest.mark.parametrize("n", [21, 22])
@pytest.mark.parametrize("scale", [0.05, 0.02, 0.03])
def test_a_sampled_psf_is_interpolated_and_freed_of_its_pixel(n, scale):
    sigma = 0.15
    psf = SampledPsf((7.0 * gauss_in_pixels(n, sigma / 0.1)).astype(np.float32), 0.1)
    kernel = psf.kernel(scale, 0.1)
    half = len(kernel) // 2
    axis = np.arange(-half, half + 1) * scale
    expected = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / (2 * sigma**2))
    assert kernel.sum(dtype=float) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel / kernel.max(), expected, atol=0.003)


@pytest.mark.parametrize("n", [5, 6])
def test_waves_up_to_nyquist_are_divided_by_what_a_pixel_leaves_of_them(n):
    centres = np.arange(n) - (n - 1) / 2
    for k in range(n // 2 + 1):
        wave = np.cos(2 * np.pi * k * np.arange(n) / n)
        # Every other position is a pixel's centre.
        series = _without_pixel(n - 1, 0.5, n) @ wave
        pixel = 1.0 if k == 0 else np.sin(np.pi * k / n) / (np.pi * k / n)
        found = np.interp(centres, np.arange(-(n - 1), n) * 0.5, series)
        np.testing.assert_allclose(found, wave / pixel, atol=1e-12)


def test_a_sampled_psf_need_not_be_square_or_round():
    image = gauss_in_pixels(25, 1.5)[2:-2] * (1 + 0.2 * np.arange(25) / 25)
    np.testing.assert_allclose(on_pixels(SampledPsf(image, 0.1), 25)[2:-2], image / image.sum(), atol=0.005 * image.max())


@needs_real
@pytest.mark.parametrize("band", list(EUCLID))
def test_a_point_source_gives_a_real_stamp_back(band):
    psf = read_psfs(str(real_files[0]))[band]
    stamp = psf.image / psf.image.sum()
    assert psf.scale_arcsec == 0.1
    np.testing.assert_allclose(on_pixels(psf, len(stamp)), stamp, atol=0.01 * stamp.max())


def changed(index, value):
    image = gauss_in_pixels(21, 1.5)
    image[index] = value
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones(25), "2-D image of at least 5 pixels a side, got the shape"),
        (np.ones((4, 30)), "2-D image of at least 5 pixels"),
        (changed((3, 4), np.nan), "must be finite, 1 are not"),
        (-gauss_in_pixels(21, 1.5), "sum of a PSF must be > 0, got -1"),
        (changed((10, 12), 1.0), r"peak of a PSF must be within 1 pixel .* \(10.0, 10.0\), got \(10, 12\)"),
    ],
)
def test_what_is_no_psf_is_refused(image, message):
    with pytest.raises(PsfError, match=message) as caught:
        SampledPsf(image, 0.1)
    assert isinstance(caught.value, LensscanError)


def test_a_peak_beside_the_middle_is_a_psf():
    SampledPsf(changed((10, 11), 1.0), 0.1)
    with pytest.raises(PsfError, match=r"scale_arcsec of a PSF must be in \[0.005, 1\], got 0"):
        SampledPsf(gauss_in_pixels(21, 1.5), 0.0)


def psf_file(path, names=("PSF",), **header):
    hdus = [fits.PrimaryHDU()]
    for i, name in enumerate(names):
        hdus.append(fits.ImageHDU(gauss_in_pixels(21, 1.5 + i).astype(np.float32), fits.Header(header), name))
    fits.HDUList(hdus).writeto(path)
    return str(path)


WCS = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "CD1_1": -0.03 / 3600,
    "CD2_2": 0.03 / 3600,
}


@pytest.mark.parametrize(
    ("name", "header", "argument", "scale"),
    [
        ("PSF", {"PIXSCALE": 0.05}, None, 0.05),
        ("PSF", WCS, None, 0.03),
        ("NIR_J_PSF", {}, None, 0.1),
        ("NIR_J_PSF", {"PIXSCALE": 0.3}, None, 0.3),
        ("PSF", {"PIXSCALE": 0.05}, 0.02, 0.02),
    ],
)
def test_pixel_scales_come_from_the_caller_the_header_or_the_name(tmp_path, name, header, argument, scale):
    psf = read_psf(psf_file(tmp_path / "psf.fits", (name,), **header), scale_arcsec=argument)
    assert psf.scale_arcsec == pytest.approx(scale)
    np.testing.assert_allclose(psf.image, gauss_in_pixels(21, 1.5), rtol=1e-6)


def test_an_extension_is_found_by_name_or_number(tmp_path):
    uri = psf_file(tmp_path / "psf.fits", ("A", "B"), PIXSCALE=0.1)
    first, second = (gauss_in_pixels(21, sigma).astype(np.float32) for sigma in (1.5, 2.5))
    np.testing.assert_array_equal(read_psf(uri).image, first)
    np.testing.assert_array_equal(read_psf(uri, "B").image, second)
    np.testing.assert_array_equal(read_psf(f"file://{uri}", 2).image, second)


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    with pytest.raises(PsfError, match=r"gone\.fits: no such file"):
        read_psf(str(tmp_path / "gone.fits"))
    (tmp_path / "text.fits").write_text("no FITS at all")
    with pytest.raises(PsfError, match="not a FITS file"):
        read_psf(str(tmp_path / "text.fits"))
    uri = psf_file(tmp_path / "psf.fits")
    with pytest.raises(PsfError, match=r"psf.fits\[PSF\]: neither a celestial WCS nor PIXSCALE"):
        read_psf(uri)
    with pytest.raises(PsfError, match="no extension 'VIS_PSF'"):
        read_psf(uri, "VIS_PSF")
    with pytest.raises(PsfError, match="no extension 'NIR_Y_PSF'"):
        read_psfs(psf_file(tmp_path / "vis.fits", ("VIS_PSF",)))
    fits.PrimaryHDU(np.eye(30, dtype=np.float32)).writeto(tmp_path / "eye.fits")
    with pytest.raises(PsfError, match=r"eye.fits\[PRIMARY\]: the peak of a PSF"):
        read_psf(str(tmp_path / "eye.fits"), scale_arcsec=0.1)


def test_all_bands_come_from_one_file(tmp_path):
    psfs = read_psfs(psf_file(tmp_path / "psf.fits", tuple(MER_PSF_HDUS.values())))
    assert list(psfs) == list(EUCLID)
    np.testing.assert_allclose(psfs["J"].image, gauss_in_pixels(21, 3.5), rtol=1e-6)
