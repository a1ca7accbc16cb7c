"""Rotating the images of one class taught a network to read the label off the PSF (Wilde et al. 2022, section 3.2).

With the detector's orientation drawn for every object, rotated and unrotated non-lenses cannot be told apart.
"""

import numpy as np
import pytest

from scanner.pixels.geometry import MER
from simulation.dataset import DatasetSpec, simulate_at
from simulation.observation import Conditions, Optics, add_noise
from simulation.render import render
from simulation.systems import PointSource, Sed, System

N = 240
AXIS = np.arange(-6, 7) * 0.1
X, Y = np.meshgrid(AXIS, AXIS)
THREE_FOLD = (X + 1j * Y) ** 3 * np.exp(-(X**2 + Y**2) / 0.1)


def orientation(vis):
    """Real and imaginary part of the third moment of the core, in units of the light there: what a PSF's corners show in."""
    y, x = np.unravel_index(np.argmax(vis[80:120, 80:120]), (40, 40))
    core = vis[74 + y : 87 + y, 74 + x : 87 + x] - np.median(vis)
    moment = (core * THREE_FOLD).sum() / np.abs(core * THREE_FOLD).sum()
    return [moment.real, moment.imag]


def probe_auc(images):
    """AUC of a linear classifier, on images it was not fitted to, for which half of them were turned by a right angle."""
    turned = np.arange(len(images)) % 2 == 1
    features = np.array([orientation(np.rot90(v) if t else v) for v, t in zip(images, turned, strict=True)])
    design = np.column_stack([np.ones(len(images)), features])
    half = len(images) // 2
    weights, *_ = np.linalg.lstsq(design[:half], turned[:half] * 2.0 - 1, rcond=None)
    scores, truth = design[half:] @ weights, turned[half:]
    return float(np.mean(scores[truth][:, None] > scores[~truth][None, :]))


def star(angle_deg, rng):
    light = (PointSource(*rng.normal(0, 0.05, 2), Sed(19.0, 18.8, 18.7, 18.6)),)
    system = System("nonlens", "star", 1e-4, None, None, (), light, (), (), (), None, angle_deg)
    conditions = Conditions.nominal(angle_deg)
    return add_noise(render(system, Optics(MER, conditions), None).clean, MER, conditions, rng)["VIS"]


def test_one_orientation_for_all_gives_rotation_away(rng):
    """The probe can tell: with one angle for every star it finds the trap."""
    assert probe_auc([star(20.0, rng) for _ in range(N)]) > 0.9


def test_orientations_drawn_for_each_star_hide_rotation(rng):
    # Three standard deviations of an AUC of 60 against 60.
    assert abs(probe_auc([star(rng.uniform(0, 360), rng) for _ in range(N)]) - 0.5) < 0.16


@pytest.mark.parametrize("kind", ["nonlens", "single"])
def test_rotated_objects_of_a_data_set_cannot_be_told_from_the_others(kind):
    spec = DatasetSpec(n=N, seed=4, kinds=((kind, 1.0),), geometry="mer")
    assert abs(probe_auc([simulate_at(spec, i).stamps["VIS"] for i in range(N)]) - 0.5) < 0.16
