"""Rotating the images of one class let a network infer the label from the PSF (Wilde et al. 2022, section 3.2).

With the detector's orientation drawn for every object, rotated and unrotated non-lenses cannot be distinguished.
"""

import numpy as np
import pytest
from scipy.stats import kstest

from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.kinds import KINDS
from simulation.optics.light import FineGrid, draw
from simulation.optics.observation import Conditions, Optics, add_noise
from simulation.products.dataset import DatasetSpec, simulate_at
from simulation.products.render import simulate_object
from simulation.systems import LOOKALIKES, PointSource, Sed

AXIS = np.arange(-6, 7) * 0.1
X, Y = np.meshgrid(AXIS, AXIS)
THREE_FOLD = (X + 1j * Y) ** 3 * np.exp(-(X**2 + Y**2) / 0.1)


def orientation(vis):
    """Return the third moment of the core, in units of the light there: it measures a PSF's corners and turns with them."""
    low, high = len(vis) // 2 - 20, len(vis) // 2 + 20
    y, x = np.unravel_index(np.argmax(vis[low:high, low:high]), (40, 40))
    core = vis[low - 6 + y : low + 7 + y, low - 6 + x : low + 7 + x] - np.median(vis)
    return (core * THREE_FOLD).sum() / np.abs(core * THREE_FOLD).sum()


def probe_auc(images):
    """Return the AUC on held-out images of a linear classifier that finds the half turned by a right angle."""
    turned = np.arange(len(images)) % 2 == 1
    moments = np.array([orientation(np.rot90(v) if t else v) for v, t in zip(images, turned, strict=True)])
    design = np.column_stack([np.ones(len(images)), moments.real, moments.imag])
    half = len(images) // 2
    weights, *_ = np.linalg.lstsq(design[:half], turned[:half] * 2.0 - 1, rcond=None)
    scores, truth = design[half:] @ weights, turned[half:]
    return float(np.mean(scores[truth][:, None] > scores[~truth][None, :]))


def preference(phases):
    """Return how much directions concentrate (Rayleigh's test): random ones exceed r with a probability of exp(-r^2)."""
    return abs(np.mean(np.exp(1j * np.asarray(phases)))) * np.sqrt(len(phases))


def star(angle_deg, rng):
    conditions = Conditions.nominal(angle_deg)
    fine = draw((PointSource(*rng.normal(0, 0.05, 2), Sed(19.0, 18.8, 18.7, 18.6)),), FineGrid(200), ("VIS",))["VIS"]
    clean = {"VIS": Optics(MER_10, conditions).observe("VIS", fine)}
    return add_noise(clean, MER_10, conditions, rng)["VIS"]


def simulated(draw_of, n):
    spec = DatasetSpec(n=n, seed=4, kinds=((draw_of, 1.0),), geometry="mer10")
    return [simulate_at(spec, i) for i in range(n)]


@pytest.fixture(scope="module")
def stars():
    return simulated("star", 200)


def test_one_common_orientation_reveals_rotation(rng):
    """The probe works: with one angle for every star it detects the rotation."""
    assert probe_auc([star(20.0, rng) for _ in range(240)]) > 0.9


def test_orientations_drawn_for_each_star_hide_rotation(rng):
    # Three standard deviations of an AUC of 150 against 150.
    assert abs(probe_auc([star(rng.uniform(0, 360), rng) for _ in range(600)]) - 0.5) < 0.1


def test_detectors_of_a_data_set_are_turned_by_any_angle(stars):
    angles = [made.system.detector_angle_deg for made in stars]
    assert kstest(np.array(angles) / 360, "uniform").pvalue > 1e-3


def test_the_angle_on_record_is_that_of_the_psf(stars):
    turned = [np.angle(orientation(made.scene.clean["VIS"])) - 3 * np.radians(made.system.detector_angle_deg) for made in stars]
    assert preference(turned) > 0.9 * np.sqrt(len(stars))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_detectors_angle_does_not_depend_on_the_kind(seed):
    draws = (*KINDS, *LOOKALIKES)
    angles = {simulate_object(draw_of, MER_10, np.random.default_rng(seed)).system.detector_angle_deg for draw_of in draws}
    assert len(angles) == 1


def test_stars_of_a_data_set_prefer_no_orientation(stars):
    """Stars show the PSF best; the test measures it in their noisy pixels."""
    assert preference([np.angle(orientation(made.stamps["VIS"])) for made in stars]) < 2.6


@pytest.mark.parametrize("draw_of", ["nonlens", "single"])
def test_galaxies_of_a_data_set_prefer_no_orientation(draw_of):
    assert preference([np.angle(orientation(made.stamps["VIS"])) for made in simulated(draw_of, 100)]) < 2.6
