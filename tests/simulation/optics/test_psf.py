import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import uniform_filter, zoom
from scipy.special import erf

from infra.errors import LensscanError
from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import MER
from simulation.optics.light import FineGrid, draw
from simulation.optics.observation import Conditions, Optics
from simulation.optics.psf import MER_PSF_HDUS, ModelPsf, PsfError, SampledPsf, least_fwhm_factor, model_psf, read_psfs
from simulation.systems import PointSource, Sed
from tests.shared import REAL

NAMES = (
    "102020064_NEG635872258496841682.fits",
    "102021016_NEG629685198482852633.fits",
    "102022474_NEG590266584471556814.fits",
    "EUCLJ174752.17+660743.0.fits",
)
real_files = [REAL / name for name in NAMES]
needs_real = pytest.mark.needs_shared(*(f"real/{name}" for name in NAMES))

BAND_PIXELS = [("VIS", 0.1), *((band, pixel) for band in ("Y", "J", "H") for pixel in (0.1, 0.3))]
RADII_ARCSEC = np.array([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])


def measured_fwhm(psf, pixel_arcsec, n_sub=25):
    """Return the diameter of the circle with the area above half of the peak, on samples n_sub times finer than pixels."""
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
    """Return n by n pixels of a point source in the middle of a pixel."""
    kernel = np.pad(psf.kernel(pixel_arcsec / n_sub, pixel_arcsec).astype(float), n_sub * n)
    low = (len(kernel) - n_sub * n) // 2
    return kernel[low : low + n_sub * n, low : low + n_sub * n].reshape(n, n_sub, n, n_sub).sum(axis=(1, 3))


def encircled(stamp):
    axis = (np.arange(len(stamp)) - (len(stamp) - 1) / 2) * 0.1
    radius = np.hypot(axis[:, None], axis[None, :])
    return np.array([stamp[radius <= r + 1e-6].sum() for r in RADII_ARCSEC]) / stamp.sum()


def threefold(stamp, scale=0.1, within=0.3):
    """Return the complex three-fold moment, relative to the round one."""
    axis = (np.arange(len(stamp)) - (len(stamp) - 1) / 2) * scale
    z = axis[None, :] + 1j * axis[:, None]
    weight = stamp * np.exp(-(np.abs(z) ** 2) / (2 * within**2))
    return (weight * z**3).sum() / (weight * np.abs(z) ** 3).sum()


@pytest.mark.parametrize(("band", "pixel_arcsec"), BAND_PIXELS)
@pytest.mark.parametrize("scale", [0.05, 0.1])
def test_a_kernel_is_odd_normalised_and_nowhere_negative(band, pixel_arcsec, scale):
    kernel = model_psf(band, 17.0).kernel(scale, pixel_arcsec)
    assert kernel.dtype == np.float32
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.sum(dtype=float) == pytest.approx(1, abs=1e-6)
    assert kernel.min() >= 0
    assert kernel[0].max() == 0, "no visible edge"


@pytest.mark.parametrize(("band", "pixel_arcsec"), BAND_PIXELS)
@pytest.mark.parametrize("factor", [0.85, 1.0, 1.2])
def test_the_width_with_the_pixel_is_the_requested_one(band, pixel_arcsec, factor):
    asked = EUCLID[band].psf_fwhm_arcsec * factor
    assert measured_fwhm(model_psf(band, 17.0, factor), pixel_arcsec) == pytest.approx(asked, rel=0.005)


@pytest.mark.parametrize("asked", [0.05, 2.0])
def test_a_width_beyond_any_core_is_refused(asked):
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
def test_vis_has_the_threefold_moment_of_real_stamps():
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
    # A turn from x towards y is against the order of rows.
    quarter = model_psf("VIS", 110.0).kernel(0.05, 0.1)
    np.testing.assert_allclose(np.rot90(kernel, -1), quarter, atol=1e-6 * kernel.max())


@pytest.mark.parametrize("band", ["Y", "J", "H"])
def test_nisp_is_round(band):
    kernel = model_psf(band, 20.0).kernel(0.1, 0.3)
    np.testing.assert_allclose(np.rot90(kernel), kernel, atol=1e-7)
    np.testing.assert_array_equal(model_psf(band, 80.0).kernel(0.1, 0.3), kernel)


def gauss_in_pixels(n, sigma, x=0.0, y=0.0):
    """Return a Gaussian averaged over pixels, in closed form; lengths are in pixels."""
    edges = np.arange(n + 1) - n / 2
    along_x, along_y = (np.diff(erf((edges - p) / (sigma * np.sqrt(2)))) / 2 for p in (x, y))
    return np.outer(along_y, along_x)


def rendered(psf, band="VIS", x=0.0, y=0.0, n=51):
    """Render a point source of unit flux on n by n MER pixels; x and y are in arcsec from the middle pixel's centre."""
    star = PointSource(x, y, Sed(*(EUCLID[name].zero_point_ab_mag for name in EUCLID)))
    fine = draw([star], FineGrid(2 * n), (band,))[band]
    return Optics(MER, Conditions.nominal(0.0), {band: psf}).observe(band, fine).astype(float)


def seen_fwhm(stamp, finer=15):
    """Return the diameter of the circle with the area above half of the peak, interpolated between pixels of 0.1 arcsec."""
    fine = zoom(stamp, finer, order=1, grid_mode=True, mode="nearest")
    return 2 * np.sqrt(np.sum(fine > stamp.max() / 2) / np.pi) * 0.1 / finer


def light_within(stamp, radius_arcsec, finer=5):
    fine = np.repeat(np.repeat(stamp, finer, axis=0), finer, axis=1)
    y, x = ((np.arange(n) - (n - 1) / 2) * 0.1 / finer for n in fine.shape)
    return fine[np.hypot(y[:, None], x) <= radius_arcsec].sum() / fine.sum()


def centroid(stamp):
    """Return the centroid (y, x) in arcsec from the middle."""
    y, x = ((np.arange(n) - (n - 1) / 2) * 0.1 for n in stamp.shape)
    return (stamp.sum(axis=1) @ y) / stamp.sum(), (stamp.sum(axis=0) @ x) / stamp.sum()


POSITIONS = [(0.0, 0.0), (0.025, 0.025), (0.05, 0.05), (0.0125, 0.033), (-0.04, 0.01), (0.0, -0.025)]


def check_places(psf, band="VIS"):
    """Check that point sources are nowhere negative, keep their flux and position, in the middle of pixels and elsewhere."""
    for x, y in POSITIONS:
        seen = rendered(psf, band, x, y)
        assert seen.min() > -1e-3 * seen.max()
        assert seen.sum() == pytest.approx(1, abs=1e-3)
        assert centroid(seen) == (pytest.approx(y, abs=0.005), pytest.approx(x, abs=0.005))


def check_shape(seen, stamp):
    assert seen_fwhm(seen) == pytest.approx(seen_fwhm(stamp), rel=0.03)
    for radius in (0.2, 0.3, 0.5):
        assert light_within(seen, radius) == pytest.approx(light_within(stamp, radius), abs=0.02)


def stamp_gauss(fwhm, n=21, x=0.0, y=0.0):
    """Return a Gaussian on pixels of 0.1 arcsec; lengths are in arcsec."""
    return gauss_in_pixels(n, fwhm / 0.2355, x / 0.1, y / 0.1)


def trefoil_stamp():
    corners = [(0.06 * np.cos(turn), 0.06 * np.sin(turn)) for turn in np.radians([25, 145, 265])]
    return sum(stamp_gauss(0.14, x=x, y=y) for x, y in corners)


@pytest.mark.parametrize(
    "stamp",
    [
        pytest.param(stamp_gauss(0.16), id="undersampled"),
        pytest.param(np.exp(-np.log(16) * np.hypot(*np.mgrid[-1:1:21j, -1:1:21j]) ** 2 / 0.16**2), id="undersampled at points"),
        pytest.param(stamp_gauss(0.2), id="like VIS"),
        pytest.param(stamp_gauss(0.3), id="wide"),
        pytest.param(trefoil_stamp(), id="three-fold"),
    ],
)
def test_a_point_source_matches_the_stamp_without_ringing(stamp):
    psf = SampledPsf((7.0 * stamp).astype(np.float32), 0.1)
    check_places(psf)
    check_shape(rendered(psf), stamp)
    assert abs(threefold(rendered(psf)) - threefold(stamp)) < 0.006


@needs_real
@pytest.mark.parametrize("band", list(EUCLID))
@pytest.mark.parametrize("path", real_files, ids=lambda path: path.name[:12])
def test_a_point_source_matches_a_real_stamp_without_ringing(path, band):
    psf = read_psfs(str(path))[band]
    assert psf.scale_arcsec == 0.1
    check_places(psf, band)
    stamp = psf.image.astype(float)
    check_shape(rendered(psf, band), stamp)
    assert abs(threefold(rendered(psf, band)) - threefold(stamp)) < 0.006


@pytest.mark.parametrize(("band", "fwhm"), [("VIS", 0.18), ("H", 0.5)])
@pytest.mark.parametrize(("n", "x", "y"), [(22, 0.0, 0.0), (22, 0.05, 0.05), (21, 0.09, 0.03), (24, -0.05, 0.05)])
def test_the_position_of_a_psf_is_its_centroid(band, fwhm, n, x, y):
    """An even-sized image has its peak half a pixel from its centre, for example at n / 2."""
    stamp = stamp_gauss(fwhm, n, x, y)
    psf = SampledPsf(stamp.astype(np.float32), 0.1)
    check_places(psf, band)
    # The source has the same position within its pixel as in the stamp.
    check_shape(rendered(psf, band, x, y, 50 + n % 2), stamp)


@pytest.mark.parametrize("n", [21, 22])
@pytest.mark.parametrize("scale", [0.05, 0.02, 0.03])
def test_a_kernel_excludes_the_pixel_and_the_sharing_of_points(n, scale):
    sigma = 0.15
    kernel = SampledPsf((7.0 * gauss_in_pixels(n, sigma / 0.1)).astype(np.float32), 0.1).kernel(scale, 0.1)
    half = len(kernel) // 2
    axis = np.arange(-half, half + 1) * scale
    expected = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / (2 * (sigma**2 - 0.05**2 / 6)))
    assert kernel.min() >= 0
    assert kernel.sum(dtype=float) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel / kernel.max(), expected, atol=0.01)


@pytest.mark.parametrize("scale", [0.01, 0.02, 0.05, 0.3])
def test_the_scale_of_a_stamp_does_not_matter(scale):
    """The same round Gaussian works on fine pixels and on coarse ones, which are a large part of its width."""
    sigma = 0.25
    psf = SampledPsf(gauss_in_pixels(2 * round(1.5 / scale) + 1, sigma / scale).astype(np.float32), scale)
    seen = rendered(psf)
    np.testing.assert_allclose(seen, gauss_in_pixels(51, sigma / 0.1), atol=0.03 * seen.max())
    check_places(psf)


def test_negative_pixels_of_a_stamp_count_as_none():
    noise = np.random.default_rng(1).normal(0, 1e-3, (21, 21)) * stamp_gauss(0.2).max()
    noisy = (stamp_gauss(0.2) + noise).astype(np.float32)
    assert noisy.min() < 0
    kernel = SampledPsf(noisy, 0.1).kernel(0.05, 0.1)
    np.testing.assert_array_equal(kernel, SampledPsf(np.maximum(noisy, 0), 0.1).kernel(0.05, 0.1))
    assert kernel.min() >= 0


def test_a_sampled_psf_need_not_be_square_or_round():
    image = gauss_in_pixels(25, 1.5)[2:-2] * (1 + 0.2 * np.arange(25) / 25)
    seen = rendered(SampledPsf(image.astype(np.float32), 0.1), n=25)
    np.testing.assert_allclose(seen[2:-2], image / image.sum(), atol=0.02 * seen.max())


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
        (
            gauss_in_pixels(21, 1.0) + 0.5 * gauss_in_pixels(21, 1.5, 6.0),
            r"centroid of a PSF must be within 1 pixel .* \(10.0, 10.0\), got \(10.0, 12.0\)",
        ),
    ],
)
def test_an_image_that_is_not_a_psf_is_refused(image, message):
    with pytest.raises(PsfError, match=message) as caught:
        SampledPsf(image, 0.1)
    assert isinstance(caught.value, LensscanError)


def test_a_peak_beside_the_middle_is_a_psf():
    SampledPsf(changed((10, 11), 1.0), 0.1)
    with pytest.raises(PsfError, match=r"scale_arcsec of a PSF must be in \[0.005, 1\], got 0"):
        SampledPsf(gauss_in_pixels(21, 1.5), 0.0)


MER_NAMES = tuple(MER_PSF_HDUS.values())


def psf_file(path, names=MER_NAMES, **header):
    """Write an image per extension, Gaussians of rising width; all headers have the same additional cards."""
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


@pytest.mark.parametrize(("header", "scale"), [({}, 0.1), ({"PIXSCALE": 0.05}, 0.05), (WCS, 0.03)])
def test_a_pixel_scale_in_the_header_precedes_that_of_mer(tmp_path, header, scale):
    psfs = read_psfs(psf_file(tmp_path / "psf.fits", **header))
    assert [psf.scale_arcsec for psf in psfs.values()] == pytest.approx([scale] * 4)


def test_all_bands_come_from_one_file(tmp_path):
    psfs = read_psfs(f"file://{psf_file(tmp_path / 'psf.fits')}")
    assert list(psfs) == list(EUCLID)
    for i, psf in enumerate(psfs.values()):
        np.testing.assert_allclose(psf.image, gauss_in_pixels(21, 1.5 + i), rtol=1e-6)


def test_errors_name_the_problem_of_a_psf_file(tmp_path):
    with pytest.raises(PsfError, match=r"gone\.fits: no such file"):
        read_psfs(str(tmp_path / "gone.fits"))
    (tmp_path / "text.fits").write_text("no FITS at all")
    with pytest.raises(PsfError, match="not a FITS file"):
        read_psfs(str(tmp_path / "text.fits"))
    with pytest.raises(PsfError, match="no extension 'NIR_Y_PSF'"):
        read_psfs(psf_file(tmp_path / "vis.fits", ("VIS_PSF",)))
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.eye(30), name="VIS_PSF")]).writeto(tmp_path / "eye.fits")
    with pytest.raises(PsfError, match=r"eye.fits\[VIS_PSF\]: the peak of a PSF"):
        read_psfs(str(tmp_path / "eye.fits"))


@pytest.mark.parametrize(("band", "pixel"), BAND_PIXELS)
def test_the_least_factor_of_the_width_is_reached(band, pixel):
    least = least_fwhm_factor(band, pixel)
    assert model_psf(band, 0.0, least).kernel(0.05, pixel).sum() == pytest.approx(1, abs=1e-5)
    with pytest.raises(PsfError, match="fwhm_arcsec"):
        model_psf(band, 0.0, least * 0.999).kernel(0.05, pixel)
