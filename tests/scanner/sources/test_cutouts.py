"""Images that become stamps, and images that are rejected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scanner.preprocess.channel import channels
from scanner.preprocess.network_inputs import network_input
from scanner.preprocess.regridding import axis_regrid, regrid_image
from scanner.sources.cutouts import to_cutout
from scanner.vocabulary.band_image import BandImage
from scanner.vocabulary.geometry import CHALLENGE, MER
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.scaling import min_max

BANDS = ("VIS", "Y", "J", "H")


def noise(n=200, seed=0, level=5.0):
    return np.random.default_rng(seed).normal(level, 1.0, (n, n)).astype(np.float32)


def images(vis, scale=0.1, nisp=None, **kwargs):
    """Return `vis` for VIS and good images for the other bands."""
    others = {band: BandImage(noise(66, i + 1) if nisp is None else nisp, 0.3) for i, band in enumerate(BANDS[1:])}
    return {"VIS": BandImage(vis, scale, **kwargs), **others}


def code(bands, geometry=CHALLENGE):
    with pytest.raises(Rejection) as caught:
        to_cutout(bands, geometry)
    assert caught.value.detail.startswith("VIS")
    return caught.value.code


def test_images_on_the_networks_own_grids_stay_unchanged():
    bands = images(noise())
    cutout = to_cutout(bands, CHALLENGE)
    assert cutout.notes == ()
    for band in BANDS:
        np.testing.assert_array_equal(cutout.stamps[band], bands[band].pixels)


def test_a_larger_image_is_cropped_about_its_centre():
    vis = noise(300)
    assert np.array_equal(to_cutout(images(vis), CHALLENGE).stamps["VIS"], vis[50:250, 50:250])


def test_mer_nisp_is_summed_to_native_pixels():
    nisp = noise(300, 9)
    stamps = to_cutout(images(noise(), nisp=nisp) | {b: BandImage(nisp, 0.1) for b in "YJH"}, CHALLENGE).stamps
    expected = nisp[51:249, 51:249].astype(np.float64).reshape(66, 3, 66, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(stamps["H"], expected, rtol=1e-6)


def test_a_smaller_image_is_padded_with_its_own_sky():
    vis = noise(100, level=7)
    vis[12:88, 12:88] += 500  # more than half of the image, but not its border
    cutout = to_cutout(images(vis), CHALLENGE)
    assert cutout.notes == ("padded: VIS",)
    stamp = cutout.stamps["VIS"]
    np.testing.assert_array_equal(stamp[50:150, 50:150], vis)
    sky = np.concatenate([stamp[:50].ravel(), stamp[150:].ravel()])
    assert np.median(sky) == pytest.approx(7, abs=0.1)
    assert sky.std() == pytest.approx(1, rel=0.1)


def test_padding_is_equal_only_for_equal_images():
    first, again, other = (to_cutout(images(noise(100, seed)), CHALLENGE).stamps["VIS"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.any(first[:50] == other[:50])


def test_padding_differs_if_only_the_middle_differs():
    vis = noise(100)
    other = vis.copy()
    other[50, 50] += 1
    first, second = (to_cutout(images(pixels), CHALLENGE).stamps["VIS"] for pixels in (vis, other))
    assert np.array_equal(first[50:150, 50:150], vis)
    assert not np.any(first[:50] == second[:50])


def test_padding_has_the_level_and_scatter_of_the_larger_pixels():
    """One pixel sums nine: it has nine times the flux and three times the noise."""
    nisp = BandImage(noise(96), 0.1)
    stamp = to_cutout(images(noise()) | {"J": nisp}, CHALLENGE).stamps["J"]
    inner, sky = stamp[17:49, 17:49], stamp[:16]
    assert np.median(sky) == pytest.approx(45, abs=0.5)
    assert np.median(inner) == pytest.approx(45, abs=0.5)
    assert sky.std() == pytest.approx(3, rel=0.1)
    assert inner.std() == pytest.approx(3, rel=0.1)


def test_padding_has_the_scatter_of_correlated_noise():
    """Pixels resampled from 0.3 to 0.1 arcsec are correlated: sums of three by three scatter nine times as much as one."""
    native = noise(32)
    stamp = to_cutout(images(noise()) | {"J": BandImage(np.kron(native, np.ones((3, 3))), 0.1)}, CHALLENGE).stamps["J"]
    np.testing.assert_allclose(stamp[17:49, 17:49], 9 * native, rtol=1e-5)
    assert stamp[:16].std() == pytest.approx(9, rel=0.15)


def test_partly_covered_pixels_keep_the_flux_of_the_data():
    vis = noise(100)
    vis[0, :] += 1e6  # the edge row lies in coarse pixels that reach beyond the edge
    stamp = to_cutout(images(noise()) | {"J": BandImage(vis, 0.1)}, CHALLENGE).stamps["J"]
    assert stamp.sum(dtype=np.float64) == pytest.approx(1e8, rel=0.01)


def test_values_that_overflow_when_summed_are_not_finite():
    bands = {band: BandImage(np.eye(200) * 3e38, 0.1) for band in BANDS}
    for band in BANDS[1:]:
        with pytest.raises(Rejection, match=f"not_finite: {band}"):
            to_cutout(images(noise()) | {band: bands[band]}, CHALLENGE)


@pytest.mark.fault(24)
def test_masked_zeros_are_not_taken_for_sky():
    vis = noise(100)
    vis[:4] = 0  # 40 % of the upper border
    sky = to_cutout(images(vis), CHALLENGE).stamps["VIS"][:40]
    assert np.median(sky) == pytest.approx(5, abs=0.1)
    assert sky.std() == pytest.approx(1, rel=0.15)


def test_pixels_beyond_the_edge_are_padded_and_others_unchanged():
    vis = noise()
    outside = np.zeros(vis.shape, dtype=bool)
    outside[:, :90] = True
    hidden = np.where(outside, np.float32(1e9), vis)
    cutout = to_cutout(images(hidden, outside=outside), CHALLENGE)
    assert cutout.notes == ("padded: VIS",)
    np.testing.assert_array_equal(cutout.stamps["VIS"][:, 90:], vis[:, 90:])
    assert np.median(cutout.stamps["VIS"][:, :90]) == pytest.approx(5, abs=0.1)


@pytest.mark.fault(24)
def test_few_bad_pixels_are_filled_with_the_median():
    vis = noise()
    vis[0, :5], vis[7, 7] = np.nan, -np.inf
    cutout = to_cutout(images(vis), CHALLENGE)
    assert cutout.notes == ("filled: VIS",)
    assert cutout.stamps["VIS"][7, 7] == pytest.approx(5, abs=0.05)
    assert np.isfinite(cutout.stamps["VIS"]).all()


@pytest.mark.fault(26)
@pytest.mark.parametrize("dtype", [">f4", ">f8", "<i2", ">i4", "u1"])
def test_any_type_and_byte_order_gives_native_float32(dtype):
    values = np.random.default_rng(0).integers(0, 200, (200, 200))
    stamp = to_cutout(images(values.astype(dtype)), CHALLENGE).stamps["VIS"]
    assert stamp.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(stamp, values)


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("vis", "expected"),
    [
        (np.zeros((200, 200)), RejectCode.BLANK),
        (np.full((200, 200), 3.5), RejectCode.CONSTANT),
        (np.full((200, 200), 1e6) + np.eye(200), RejectCode.CONSTANT),
        (np.full((200, 200), np.nan), RejectCode.NOT_FINITE),
        (np.full((200, 200), np.inf), RejectCode.NOT_FINITE),
        (noise().astype(np.float64) * 1e300, RejectCode.NOT_FINITE),
        (np.eye(200) * 3e38, RejectCode.NOT_FINITE),
        (np.eye(200) * 1e-44, RejectCode.CONSTANT),
        (noise(3), RejectCode.WRONG_SHAPE),
        (noise(40), RejectCode.WRONG_SHAPE),
        (np.ones((2, 200, 200)), RejectCode.WRONG_SHAPE),
        (np.ones(200), RejectCode.WRONG_SHAPE),
    ],
)
def test_unusable_pixels_are_rejected_by_name(vis, expected):
    assert code(images(vis)) is expected


@pytest.mark.fault(24)
def test_more_than_a_tenth_of_bad_pixels_is_rejected():
    vis = noise()
    vis[:20] = np.nan
    to_cutout(images(vis), CHALLENGE)
    vis[20, 0] = np.nan
    assert code(images(vis)) is RejectCode.NOT_FINITE


@pytest.mark.fault(24)
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("scale", [0.1, 0.07])
def test_bad_pixels_beyond_the_field_are_ignored(value, scale):
    vis = noise(400)
    good = to_cutout(images(vis, scale), CHALLENGE).stamps["VIS"]
    frame = round((400 - 20 / scale) / 2) - 1
    vis[:frame], vis[-frame:], vis[:, :frame], vis[:, -frame:] = [value] * 4
    cutout = to_cutout(images(vis, scale), CHALLENGE)
    assert cutout.notes == ()
    np.testing.assert_array_equal(cutout.stamps["VIS"], good)


def test_larger_images_of_other_scales_are_regridded_as_a_whole():
    vis = noise(401)
    rows = axis_regrid(401, 0.07, 200, 0.1)
    np.testing.assert_array_equal(to_cutout(images(vis, 0.07), CHALLENGE).stamps["VIS"], regrid_image(vis, rows, rows))


@pytest.mark.fault(24)
@pytest.mark.parametrize(("hole", "is_rejected"), [(20, False), (63, False), (64, True), (150, True)])
def test_a_larger_image_fares_as_its_field(hole, is_rejected):
    """64 x 64 pixels are more than a tenth of 200 x 200, and less than a tenth of 300 x 300."""
    vis = noise(300)
    vis[:50] += 7  # beyond the field: the value that fills the hole must not depend on it
    vis[150 - hole // 2 :, 150 - hole // 2 :][:hole, :hole] = np.nan
    rows = images(vis), images(vis[50:250, 50:250].copy())
    if is_rejected:
        details = []
        for bands in rows:
            with pytest.raises(Rejection) as caught:
                to_cutout(bands, CHALLENGE)
            details.append(str(caught.value))
        assert details == [f"not_finite: VIS: {hole**2} of 40000 pixels of the field are not finite"] * 2
        return
    whole, field = (to_cutout(bands, CHALLENGE) for bands in rows)
    assert whole.notes == field.notes
    np.testing.assert_array_equal(whole.stamps["VIS"], field.stamps["VIS"])


@pytest.mark.parametrize(
    ("start", "size", "share"), [(90, 20, "100.0%"), (100, 30, "25.0%"), (106, 2, "0.9%"), (107, 30, None)]
)
def test_filled_pixels_near_the_middle_are_noted(start, size, share):
    vis = noise()
    vis[start : start + size, start : start + size] = np.nan
    near = (f"filled within 1 arcsec of the middle: VIS {share}",) if share else ()
    assert to_cutout(images(vis), CHALLENGE).notes == ("filled: VIS", *near)


def test_a_constant_middle_is_rejected_despite_its_surroundings():
    vis = noise(300)
    vis[50:250, 50:250] = 0
    assert code(images(vis)) is RejectCode.BLANK
    narrow = noise(300)[:, :100]
    narrow[50:250] = 4
    assert code(images(narrow)) is RejectCode.CONSTANT


@pytest.mark.fault(26)
@pytest.mark.parametrize("scale", [0, -0.1, 1e-4, 50, np.nan, np.inf])
def test_impossible_pixel_scales_are_rejected(scale):
    assert code(images(noise(), scale)) is RejectCode.NO_PIXEL_SCALE


@pytest.mark.fault(25)
def test_a_missing_band_is_named():
    bands = images(noise())
    del bands["J"]
    with pytest.raises(Rejection, match="missing_band: J: no image"):
        to_cutout(bands, CHALLENGE)


@pytest.mark.fault(24)
@settings(max_examples=100)
@given(
    hnp.arrays(np.float32, (20, 20), elements=st.floats(width=32, allow_nan=True, allow_infinity=True), fill=st.just(0.5)),
    st.sampled_from([0.35, 0.7, 1.1]),
)
def test_any_pixels_give_a_stamp_or_a_rejection(pixels, scale):
    bands = {band: BandImage(pixels, scale) for band in BANDS}
    for geometry in (CHALLENGE, MER):
        try:
            cutout = to_cutout(bands, geometry)
        except Rejection:
            continue
        stamps = {band: stamp[None] for band, stamp in cutout.stamps.items()}
        for n_pixels in (66, 200):
            inputs = network_input(stamps, channels("min_max", *BANDS), n_pixels)
            assert inputs.shape == (1, 4, n_pixels, n_pixels)
            assert inputs.min() == 0
            assert inputs.max() == 1


def test_network_input_has_channels_in_the_requested_order():
    stamps = {band: noise(66, i)[None] for i, band in enumerate(BANDS)}
    inputs = network_input(stamps, channels("min_max", "J", "VIS"), 66)
    np.testing.assert_array_equal(inputs[0], [min_max(stamps["J"])[0], min_max(stamps["VIS"])[0]])
