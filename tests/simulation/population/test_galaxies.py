import numpy as np
import pytest

from simulation.population.galaxies import BUILDERS, total_vis_mag
from simulation.systems import LOOKALIKES
from tests.simulation.population.builds import KINDS, distance, draws, vis_flux


def test_every_lookalike_but_twin_and_artefact_has_a_builder():
    assert set(BUILDERS) == set(LOOKALIKES) - {"twin", "artefact"}


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_finite_near_the_centre_and_of_few_components(kind):
    for z, light in draws(kind):
        assert z > 0
        assert 1 <= len(light) <= 25
        for part in light:
            assert distance(part) < 4
            assert np.isfinite([part.sed.mag(band) for band in ("VIS", "Y", "J", "H")]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vis_mag", [16.0, 21.0, 26.0])
def test_all_components_together_have_the_requested_magnitude(kind, vis_mag):
    for _, light in draws(kind, vis_mag):
        assert -2.5 * np.log10(vis_flux(light)) == pytest.approx(vis_mag, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_galaxy_and_another_another(kind):
    build = BUILDERS[kind]
    first = build(np.random.default_rng(5), None, 20.0)
    assert build(np.random.default_rng(5), None, 20.0) == first
    assert build(np.random.default_rng(6), None, 20.0) != first


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"faint", "star", "blue_companions"}))
def test_half_of_the_galaxies_are_as_bright_as_lenses(kind):
    mags = np.array([total_vis_mag(light) for _, light in draws(kind)])
    assert mags.min() > 17.5
    assert mags.max() < 24.5
    assert 0.5 < (mags < 22.5).mean() < 0.85
    assert 20.5 < np.median(mags) < 22.5


def test_faint_galaxies_are_faint_and_follow_the_counts():
    mags = np.array([total_vis_mag(light) for _, light in draws("faint")])
    assert mags.min() > 22
    assert mags.max() < 25.5
    # If counts grow as 10^(0.3 mag), this share is beyond 24.5.
    expected = (1 - 10**-0.3) / (1 - 10 ** (-0.3 * 3.5))
    assert (mags > 24.5).mean() == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("kind", ["elliptical", "disc", "spiral", "edge_on", "group", "companions"])
def test_catalogue_positions_miss_the_centre_by_little(kind):
    """A scatter of 0.06 arcsec, for one in five of 0.2, has a standard deviation of 0.1 along each axis."""
    centres = np.array([(light[0].x_arcsec, light[0].y_arcsec) for _, light in draws(kind)])
    assert np.sqrt(0.8 * 0.06**2 + 0.2 * 0.2**2) == pytest.approx(centres.std(), rel=0.25)
    assert np.median(np.abs(centres)) < 0.07
    assert np.abs(centres.mean(axis=0)).max() < 0.03
