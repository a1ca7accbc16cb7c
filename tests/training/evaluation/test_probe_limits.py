"""Every probe has a limit, every limit a probe, and a reason."""

from simulation.products.probes import PROBES
from training.evaluation.probe_limits import LEAST_NOTICED, LIMITS


def test_every_probe_has_exactly_one_limit():
    names = [probe.name for probe in PROBES]
    assert sorted([*LIMITS, *LEAST_NOTICED]) == sorted(names)
    assert {probe.name for probe in PROBES if probe.shifts_a_band} == set(LEAST_NOTICED)


def test_every_limit_says_why_and_limits_something():
    for name, limit in LIMITS.items():
        assert len(limit.reason) > 20, name
        assert limit.most_fall is not None, name
        assert limit.most_lost is not None, name


def test_changes_that_say_nothing_are_limited_on_both_sides():
    nuisances = {"psf", "flaw", "place", "turn"}
    for probe in PROBES:
        if probe.part in nuisances:
            limit = LIMITS[probe.name]
            assert limit.most_rise == limit.most_fall
            assert limit.most_gained is not None
