import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom

from simulation.textures import cutting
from simulation.textures.cutting import MAX_BLUR, MIN_STRUCTURE, _binned, cut_galaxies, structure
from tests.simulation import textures_made as made


@pytest.fixture(scope="module")
def cut():
    return cut_galaxies(made.sky_field())


def of(galaxies, at):
    (galaxy,) = [g for g in galaxies if np.hypot(g.x_pixel - at[0], g.y_pixel - at[1]) < 3]
    return galaxy


def seen(n):
    """Return the disc as the telescope sees it, without noise."""
    image = gaussian_filter(made.lumpy_disc(301), made.FIELD_FWHM / 2.3548, truncate=8)
    low = (301 - n) // 2
    return image[low : low + n, low : low + n]


def radius_of_half(image):
    axis = np.arange(len(image)) - (len(image) - 1) / 2
    distances = np.hypot(axis, axis[:, None]).ravel()
    order = np.argsort(distances)
    within = np.cumsum(image.ravel()[order])
    return distances[order][np.searchsorted(within, 0.5 * within[-1])]


def test_only_suitable_galaxies_are_cut(cut):
    """Stars, an early type, a smooth disc, and galaxies that are faint, masked or at the border are left."""
    assert len(cut) == 2
    of(cut, made.DISC_AT)
    of(cut, made.NEIGHBOURED_AT)


@pytest.mark.parametrize(
    ("limit", "value", "at"),
    [
        ("MIN_SNR", 0.0, made.FAINT_AT),
        ("MAX_CONCENTRATION", 9.0, made.EARLY_AT),
        ("MAX_SHARED", 1.0, made.CROWDED_AT),
        ("MIN_STRUCTURE", 0.0, made.SMOOTH_AT),
        ("_SATURATED_SNR", np.inf, made.SATURATED_AT),
    ],
)
def test_each_limit_alone_keeps_an_object_out(monkeypatch, limit, value, at):
    monkeypatch.setattr(cutting, limit, value)
    of(cut_galaxies(made.sky_field()), at)


def test_a_disc_is_cut_as_it_is_seen(cut):
    galaxy = of(cut, made.DISC_AT)
    n = len(galaxy.texture.pixels)
    truth = seen(n)
    assert galaxy.flux == pytest.approx(40000 * truth.sum(), rel=0.04)
    assert np.abs(galaxy.texture.pixels - truth / truth.sum()).sum() < 0.08
    assert galaxy.texture.half_light_radius_pixels == pytest.approx(radius_of_half(truth), rel=0.04)
    assert galaxy.bin_pixels == 1


def test_the_blur_is_that_of_the_stars(cut):
    """A Gaussian has half of its light within half of its FWHM, to which the pixel adds a little."""
    texture = of(cut, made.DISC_AT).texture
    assert texture.blur * texture.half_light_radius_pixels == pytest.approx(made.FIELD_FWHM / 2, rel=0.12)


def test_pictures_end_without_edge_and_noise(cut):
    for galaxy in cut:
        pixels = galaxy.texture.pixels
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert not border.any()
        steps = np.abs(np.diff(pixels, axis=0)).max(), np.abs(np.diff(pixels, axis=1)).max()
        assert max(steps) < 0.2 * pixels.max()


def test_a_neighbour_is_taken_out(cut):
    """The picture has the light of the opposite side in the place of the neighbour."""
    galaxy = of(cut, made.NEIGHBOURED_AT)
    pixels = galaxy.texture.pixels
    middle = len(pixels) // 2
    near = made.NEIGHBOUR_PIXELS - 4
    right, left = (
        pixels[middle - 3 : middle + 4, columns] for columns in (slice(middle + near, None), slice(middle - near + 1))
    )
    assert right.sum() == pytest.approx(left.sum(), rel=0.35)
    assert right.max() < 0.1 * pixels.max()
    left, right = pixels[:, :middle].sum(), pixels[:, middle + 1 :].sum()
    assert right == pytest.approx(left, rel=0.06)


def test_pictures_darken_towards_their_end(cut):
    for galaxy in cut:
        pixels = galaxy.texture.pixels
        depth = distance_transform_edt(pixels > 0)
        outermost, inner = (pixels[(depth >= low) & (depth < low + 1)].mean() for low in (1, 5))
        assert outermost < 0.2 * inner


def test_a_given_seeing_decides_what_is_resolved():
    image = made.sky_field()
    assert len(cut_galaxies(image, made.FIELD_FWHM)) == 2
    radius = of(cut_galaxies(image), made.DISC_AT).texture.half_light_radius_pixels
    assert len(cut_galaxies(image, 1.5 * MAX_BLUR * radius)) == 0
    blurs = [of(cut_galaxies(image, fwhm), made.DISC_AT).texture.blur for fwhm in (1.0, 2.0)]
    assert blurs[1] == pytest.approx(2 * blurs[0])


def test_sky_level_and_unit_do_not_matter():
    image = made.sky_field()
    changed = np.where(image == 0, 0, 1e-3 * (image - 50) - 7).astype(np.float32)
    before, after = cut_galaxies(image), cut_galaxies(changed)
    assert [(g.x_pixel, g.y_pixel) for g in before] == [(g.x_pixel, g.y_pixel) for g in after]
    for one, other in zip(before, after, strict=True):
        assert other.flux == pytest.approx(1e-3 * one.flux, rel=0.01)
        assert np.abs(one.texture.pixels - other.texture.pixels).sum() < 0.01


@pytest.mark.parametrize(("n", "side"), [(128, 1), (129, 2), (300, 3)])
def test_large_galaxies_lose_pixels_but_no_light(rng, n, side):
    light = rng.uniform(0, 1, (n, n))
    binned, found = _binned(light)
    assert (found, len(binned)) == (side, -(-n // side))
    assert binned.sum() == pytest.approx(light.sum(), rel=1e-5)
    middle = len(binned) // 2
    first = middle * side - (len(binned) * side - n) // 2
    assert binned[middle, middle] == pytest.approx(light[first : first + side, first : first + side].sum(), rel=1e-5)


def test_large_galaxies_keep_their_size(cut, rng):
    """The noise is such that the galaxy has about the signal-to-noise ratio of the small one."""
    image = zoom(made.sky_field()[:240, :240], 4, order=1, grid_mode=True, mode="nearest")
    image += rng.normal(0, 10, image.shape).astype(np.float32)
    galaxy = of(cut_galaxies(image, 4 * made.FIELD_FWHM), tuple(4 * at + 1.5 for at in made.DISC_AT))
    assert galaxy.bin_pixels > 1
    assert len(galaxy.texture.pixels) <= 128
    small = of(cut, made.DISC_AT)
    in_pixels = galaxy.bin_pixels * galaxy.texture.half_light_radius_pixels
    assert in_pixels == pytest.approx(4 * small.texture.half_light_radius_pixels, rel=0.08)
    assert galaxy.flux == pytest.approx(16 * small.flux, rel=0.15)


def test_a_bright_close_neighbour_leaves_the_galaxy_out():
    image = made.sky_field()
    x, y = made.DISC_AT
    blob = gaussian_filter(np.pad(np.full((1, 1), 20000.0), 40), made.FIELD_FWHM / 2.3548)
    image[y - 40 : y + 41, x - 30 : x + 51] += blob.astype(np.float32)
    assert all(np.hypot(g.x_pixel - x, g.y_pixel - y) > 20 for g in cut_galaxies(image))


@pytest.mark.parametrize("profile", [{}, {"axis_ratio": 0.5, "angle": 0.6}, {"index": 2.5, "x": 0.4, "y": -0.3}])
def test_smooth_ellipses_have_no_structure(profile):
    assert structure(made.profile_image(81, 8.0, **profile)) < 0.03


def test_structure_grows_with_the_light_in_lumps():
    smooth, lumpy = made.profile_image(81, 8.0), made.lumpy_disc(81)
    found = [structure((1 - share) * smooth + share * lumpy) for share in (0.0, 0.3, 0.6, 1.0)]
    assert found == sorted(found)
    assert found[-1] > MIN_STRUCTURE
    assert structure(7 * np.rot90(lumpy)) == pytest.approx(structure(lumpy), rel=1e-5)


def test_two_equal_blobs_far_apart_are_hardly_an_ellipse():
    """The model puts all light onto rings; blobs cover little of theirs, so almost all light lies elsewhere: a share of 2."""
    image = np.zeros((81, 81))
    image[10, 40] = image[70, 40] = 1
    assert 1.2 < structure(gaussian_filter(image, 1.5)) <= 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.45, 0.55])
def test_smooth_discs_beside_masked_pixels_are_left(rng, share):
    """Their noise is no structure, however much of the image is masked."""
    image = rng.normal(50, 1, (400, 400)).astype(np.float32)
    for y in (100, 200, 300):
        image[y - 80 : y + 81, 10:171] += 3000 * made.profile_image(161, 8.0, axis_ratio=0.6, angle=0.5)
    image[:, round(400 * (1 - share)) :] = 0
    assert cut_galaxies(image, 3.0) == []


def test_masked_pixels_leave_a_galaxy_as_it_is(cut):
    image = np.pad(made.sky_field(), ((0, 0), (0, 600)))
    galaxy, before = (of(galaxies, made.DISC_AT) for galaxies in (cut_galaxies(image), cut))
    assert galaxy.flux == pytest.approx(before.flux, rel=0.01)
    assert np.abs(galaxy.texture.pixels - before.texture.pixels).sum() < 0.01


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_image_without_sky_has_no_galaxies(value):
    assert cut_galaxies(np.full((64, 64), value, np.float32)) == []


def test_noise_has_no_galaxies(rng):
    assert cut_galaxies(rng.normal(0, 1, (200, 200)).astype(np.float32)) == []


@pytest.mark.parametrize("shape", [(31, 100), (100,), (2, 100, 100)])
def test_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="at least 32 pixels a side"):
        cut_galaxies(np.zeros(shape, np.float32))
