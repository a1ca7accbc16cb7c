from collections import Counter

import numpy as np
import pytest

from simulation.lensing import effective_einstein_radius_arcsec
from simulation.population.draw import (
    DRAWS,
    LOOKALIKE_SHARES,
    PopulationError,
    check_draw,
    draw_surroundings,
    draw_system,
    kind_of_draw,
)
from simulation.systems import LOOKALIKES


@pytest.mark.parametrize("draw", DRAWS)
def test_every_kind_and_lookalike_is_drawn_and_recorded(draw, rng):
    neighbours = draw_surroundings("euclid", rng, 30.0)
    system = draw_system("euclid", draw, rng, 30.0, neighbours)
    assert system.kind == kind_of_draw(draw)
    assert draw in {system.kind, system.lookalike}
    assert system.detector_angle_deg == 30.0
    assert system.neighbours == neighbours


def test_non_lenses_come_in_the_stated_shares():
    assert set(LOOKALIKE_SHARES) == set(LOOKALIKES)
    assert sum(LOOKALIKE_SHARES.values()) == pytest.approx(1)
    rng = np.random.default_rng(1)
    n = 2000
    drawn = Counter(draw_system("euclid", "nonlens", rng, 0.0).lookalike for _ in range(n))
    for lookalike, share in LOOKALIKE_SHARES.items():
        assert abs(drawn[lookalike] - n * share) < 4.5 * np.sqrt(n * share)


def test_lenses_have_the_parts_of_their_kind(rng):
    single = draw_system("euclid", "single", rng, 0.0)
    assert single.source1
    assert not single.source2
    for kind in ("compound_arc", "double_ring"):
        system = draw_system("euclid", kind, rng, 0.0)
        assert system.is_compound
        assert system.z_lens < system.z_source1 < system.z_source2
        # Galaxy 1 deflects, at the position of its light.
        middle = [m for m in system.masses if m.z == system.z_source1]
        assert len(middle) == 1
        assert (middle[0].x_arcsec, middle[0].y_arcsec) == (system.source1[0].x_arcsec, system.source1[0].y_arcsec)
        assert middle[0].velocity_dispersion_km_s < system.masses[0].velocity_dispersion_km_s


@pytest.mark.parametrize("preset", ["euclid", "broad", "any_host"])
def test_narrow_lenses_are_drawn_again(preset, rng):
    lenses = [draw_system(preset, "single", rng, 0.0, min_einstein_radius_arcsec=2.0) for _ in range(40)]
    radii = [effective_einstein_radius_arcsec(lens.masses, lens.z_source1) for lens in lenses]
    assert 2.0 <= min(radii) < 2.3
    assert max(radii) > 2.7
    # Nothing else has an Einstein radius.
    assert draw_system(preset, "spiral", rng, 0.0, min_einstein_radius_arcsec=2.0).lookalike == "spiral"


def test_all_masses_count_for_the_least_einstein_radius():
    """A lens that its first mass alone would not make wide enough is drawn at once."""
    for seed in range(40):
        lens = draw_system("broad", "single", np.random.default_rng(seed), 0.0)
        alone, together = (effective_einstein_radius_arcsec(of, lens.z_source1) for of in (lens.masses[:1], lens.masses))
        if together > 1.05 * alone:
            middle = (alone + together) / 2
            again = draw_system("broad", "single", np.random.default_rng(seed), 0.0, min_einstein_radius_arcsec=middle)
            assert again == lens
            return
    raise AssertionError("no lens has a second mass that matters")


def test_a_preset_without_such_lenses_says_so(rng):
    message = r"no double_ring of the preset broad with an Einstein radius of at least 9 arcsec in \d+ draws"
    with pytest.raises(PopulationError, match=message):
        draw_system("broad", "double_ring", rng, 0.0, min_einstein_radius_arcsec=9.0)


def test_the_papers_preset_has_no_neighbours_and_no_look_alikes(rng):
    assert draw_surroundings("wilde2022", rng, 0.0) == ()
    assert draw_system("wilde2022", "nonlens", rng, 0.0).lookalike == "twin"
    assert draw_system("wilde2022", "double_ring", rng, 0.0).is_compound
    with pytest.raises(PopulationError, match=r"no look-alike but 'twin'.*got 'spiral'"):
        draw_system("wilde2022", "spiral", rng, 0.0)


@pytest.mark.parametrize(
    ("preset", "draw", "message"), [("sdss", "single", "preset must be"), ("euclid", "quasar", "kind must be")]
)
def test_unknown_presets_and_kinds_are_named(preset, draw, message):
    with pytest.raises(PopulationError, match=message):
        check_draw(preset, draw)
