"""The independent simulator draws what it says, with light and noise that the survey's files have."""

import ast
from pathlib import Path

import numpy as np
import pytest

from tests.independent import render as render_module
from tests.independent.render import SKY_SIGMAS, render
from tests.independent.scenes import LENSES, OTHERS, draw_scene
from tests.independent.sets import independent_set

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found():
    return independent_set(2, 11)


def test_it_shares_no_code_with_the_simulator():
    for path in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
            )
            assert not any(str(name).split(".")[0] in {"simulation", "scanner", "training"} for name in names), path


def test_sets_have_every_class_in_stamps_of_the_geometry(found):
    assert found.classes.tolist() == [name for name in (*LENSES, *OTHERS) for _ in range(2)]
    assert found.is_lens.sum() == 4
    for images in found.stamps.values():
        assert images.shape == (2 * 9, 100, 100)
        assert images.dtype == np.float32
        assert np.isfinite(images).all()


def test_an_object_depends_on_seed_class_and_number_only(found):
    again = independent_set(1, 11, ("ring",))
    row = found.classes.tolist().index("ring")
    np.testing.assert_array_equal(again.stamps["H"][0], found.stamps["H"][row])


def test_the_noise_has_the_level_of_the_survey(found):
    for band, sigma in SKY_SIGMAS.items():
        corner = np.concatenate([image[:12, :12].ravel() for image in found.stamps[band]])
        assert 1.4826 * np.median(np.abs(corner - np.median(corner))) == pytest.approx(sigma, rel=0.25)


def test_the_arcs_of_a_lens_lie_at_its_einstein_radius():
    """A single lens on axis makes a ring at theta_E: the brightest azimuthal mean of its source's light."""
    for seed in range(400):
        scene = draw_scene("single", np.random.default_rng(seed))
        radius = scene.masses[0][1]["theta_E"]
        (source, z) = scene.sources[0]
        at = np.average([[p["center_x"], p["center_y"]] for _, p in source.profiles], axis=0, weights=source.shares)
        if np.hypot(*at) < 0.1 * radius and radius > 0.8:
            break
    image = render_module._lensed(source, z, scene)["VIS"]
    y, x = (np.indices(image.shape) - 49.5) * 0.1
    ring = [image[(np.hypot(x, y) > r - 0.06) & (np.hypot(x, y) < r + 0.06)].mean() for r in np.arange(0.3, 3.0, 0.1)]
    assert np.arange(0.3, 3.0, 0.1)[int(np.argmax(ring))] == pytest.approx(radius, abs=0.2)


def test_a_lens_whose_arcs_cannot_be_seen_is_refused():
    rng = np.random.default_rng(0)
    scene = draw_scene("single", rng)
    faint = [(type(g)(g.profiles, g.shares, dict.fromkeys(g.mags, 32.0)), z) for g, z in scene.sources]
    assert render(type(scene)(scene.galaxies, faint, scene.masses), rng) is None
