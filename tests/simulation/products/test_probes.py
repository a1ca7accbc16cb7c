"""Probed images differ from the unchanged ones in what the probe names: noise, PSF, place, sky, orientation, bands."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from scanner.vocabulary.bands import EUCLID
from scanner.vocabulary.geometry import CHALLENGE, MER_10
from scanner.vocabulary.kinds import KINDS, UNCHANGED
from simulation.optics.observation import draw_conditions
from simulation.products import probes
from simulation.products.probes import PROBES, PROBES_OF, probed_object

SEED = 7


@pytest.fixture(scope="module")
def objects():
    """One double ring and one non-lens under all their probes; index 3 puts flaws of one band into H."""
    return {kind: probed_object(kind, 3, SEED, MER_10) for kind in ("double_ring", "nonlens")}


def differences(images, probe):
    return {band: images[probe][band] - images[UNCHANGED][band] for band in EUCLID}


def test_each_kind_has_its_probes():
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    assert all(PROBES_OF[kind] == PROBES for kind in KINDS[1:])
    assert not {"source", "ratio", "radius", "deflector", "group"} & {probe.part for probe in PROBES_OF["nonlens"]}


def test_every_probe_of_a_kind_changes_its_images(objects):
    for kind, images in objects.items():
        assert list(images) == [UNCHANGED, *(probe.name for probe in PROBES_OF[kind])]
        for probe in PROBES_OF[kind]:
            assert any(change.any() for change in differences(images, probe.name).values())
            assert all(image.shape == (100, 100) and image.dtype == np.float32 for image in images[probe.name].values())


def test_one_band_alone_is_shifted_or_hot(objects):
    for images in objects.values():
        names = [probe.name for probe in PROBES if probe.shifts_a_band or probe.name == "hot pixel"]
        assert len(names) == 4
        for name in names:
            assert [band for band, change in differences(images, name).items() if change.any()] == ["H"]


@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0])
def test_a_shifted_band_lies_as_far_off_as_stated(objects, distance):
    images = objects["double_ring"]
    before, after = (np.maximum(images[name]["H"], 0) for name in (UNCHANGED, f"one band shifted by {distance:g} arcsec"))
    smooth = [ndimage.gaussian_filter(image, 4) for image in (before, after)]
    peaks = [np.array(np.unravel_index(image.argmax(), image.shape)) for image in smooth]
    assert np.hypot(*(peaks[1] - peaks[0])) * 0.1 == pytest.approx(distance, abs=0.25)


@pytest.mark.parametrize(("name", "sign"), [("sky 0.5 sigma higher", 1), ("sky 0.5 sigma lower", -1)])
def test_the_sky_is_a_constant_in_each_band(objects, name, sign):
    images = objects["double_ring"]
    for band, change in differences(images, name).items():
        seen = images[UNCHANGED][band] != 0
        np.testing.assert_allclose(change[seen], np.median(change), rtol=1e-3, atol=1e-5)
        noise = 1.4826 * np.median(np.abs(images[UNCHANGED][band] - np.median(images[UNCHANGED][band])))
        assert 0.2 < sign * np.median(change) / noise < 0.8


def test_a_quarter_turn_is_exact(objects):
    images = objects["nonlens"]
    for band in EUCLID:
        np.testing.assert_array_equal(images["turned by 90 deg"][band], np.rot90(images[UNCHANGED][band]))


def test_more_noise_is_the_same_noise(objects):
    """The image is light and noise, then light and 1.5 times the noise: less twice the change, smooth light is left."""
    for images in objects.values():
        for band, change in differences(images, "noise x 1.5").items():
            usual = images[UNCHANGED][band]
            rough, smooth = (np.median(np.abs(np.diff(image, axis=1))) for image in (usual, usual - 2 * change))
            assert smooth < 0.1 * rough


def test_noise_is_the_same_before_and_after_a_change(objects):
    """Far from all light, a change of the telescope or of the sources leaves every pixel as it was."""
    images = objects["double_ring"]
    noise = images[UNCHANGED]["VIS"].std()
    for name in ("PSF turned by 45 deg", "PSF 20 % wider", "source bluer by 1 mag in VIS - H", "deflector 1 mag fainter"):
        change = differences(images, name)["VIS"]
        assert np.median(np.abs(change)) < 0.3 * noise


def test_a_wider_psf_lowers_peaks_and_keeps_light(objects):
    images = objects["double_ring"]
    narrow, usual, wide = (images[name]["H"] for name in ("PSF 20 % narrower", UNCHANGED, "PSF 20 % wider"))
    assert narrow.max() > usual.max() > wide.max()
    assert wide.sum() == pytest.approx(usual.sum(), rel=0.01)


def test_an_object_depends_on_kind_index_and_seed_alone(objects):
    again = probed_object("nonlens", 3, SEED, MER_10)
    for name, images in again.items():
        np.testing.assert_array_equal(images["Y"], objects["nonlens"][name]["Y"])
    other = probed_object("nonlens", 2, SEED, MER_10)
    assert (other[UNCHANGED]["Y"] != again[UNCHANGED]["Y"]).any()
    assert [band for band, change in differences(other, "hot pixel").items() if change.any()] == ["J"]


def test_a_narrow_psf_becomes_no_narrower_than_pixels_allow(monkeypatch):
    """Where the PSF is the narrowest of the survey, 20 % less is below what a NISP pixel can show."""

    def narrowest(rng, angle):
        return replace(draw_conditions(rng, angle), fwhm_factor=0.85)

    monkeypatch.setattr(probes, "draw_conditions", narrowest)
    images = probed_object("nonlens", 0, SEED, CHALLENGE)
    for band in EUCLID:
        assert images["PSF 20 % narrower"][band].max() > images[UNCHANGED][band].max()
