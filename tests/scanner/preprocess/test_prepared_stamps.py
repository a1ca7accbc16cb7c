"""Stamps that keep their inputs and their sky: the same numbers as without, each computed once."""

import numpy as np
import pytest

from scanner.preprocess import prepared_stamps, sky_levels
from scanner.preprocess.channel import channels
from scanner.preprocess.network_inputs import network_inputs
from scanner.preprocess.prepared_stamps import PreparedStamps
from scanner.preprocess.sky import sky_level_and_sigma
from scanner.preprocess.sky_levels import SkyLevels
from scanner.scan.sweep import synthetic_stamps
from scanner.vocabulary.geometry import MER_10

SKY, CENTRE = channels("sky_asinh", "VIS", "H"), channels("centre_asinh", "VIS")
ROWS = np.array([4, 1, 2])


@pytest.fixture
def stamps():
    return synthetic_stamps(MER_10, 6)


@pytest.fixture
def work(monkeypatch):
    """Count the inputs that are computed, and the skies that are measured."""
    done = {"inputs": 0, "skies": 0}

    def inputs(stamps, wanted, *rest):
        done["inputs"] += len(wanted)
        return network_inputs(stamps, wanted, *rest)

    def sky(images):
        done["skies"] += 1
        return sky_level_and_sigma(images)

    monkeypatch.setattr(prepared_stamps, "network_inputs", inputs)
    monkeypatch.setattr(sky_levels, "sky_level_and_sigma", sky)
    return done


def test_a_part_computes_its_inputs_once(stamps, work):
    part = PreparedStamps(stamps).part(ROWS)
    expected = {band: images[ROWS] for band, images in stamps.items()}
    for wanted in ([SKY], [CENTRE, SKY], [SKY, CENTRE]):
        given = part.inputs(wanted, 100, 80)
        assert list(given) == wanted
        for of, made in network_inputs(expected, wanted, 100, 80).items():
            np.testing.assert_array_equal(given[of], made)
    assert work["inputs"] == 2
    part.inputs([SKY], 100, 96)
    assert work["inputs"] == 3


def test_a_batch_measures_its_sky_once_and_keeps_no_inputs(stamps, work):
    batch = PreparedStamps(stamps)
    for wanted in ([SKY], [SKY, CENTRE]):
        given = batch.inputs(wanted, 100, 80)
        for of, made in network_inputs(stamps, wanted, 100, 80, SkyLevels()).items():
            np.testing.assert_array_equal(given[of], made)
    assert work["inputs"] == 3
    assert batch.made((SKY, 100, 80)) is None
    done = work["skies"]
    batch.inputs([SKY], 100, 64)
    batch.part(ROWS).inputs([CENTRE], 100, 64)
    assert work["skies"] == done


def test_a_part_of_a_part_has_its_inputs(stamps, work):
    part = PreparedStamps(stamps).part(ROWS)
    part.inputs([SKY], 100, 80)
    smaller = part.part(np.array([2, 0]))
    rows = ROWS[[2, 0]]
    expected = network_inputs({band: images[rows] for band, images in stamps.items()}, [SKY, CENTRE], 100, 80)
    given = smaller.inputs([SKY, CENTRE], 100, 80)
    for wanted, made in expected.items():
        np.testing.assert_array_equal(given[wanted], made)
    assert work["inputs"] == 2
    assert smaller.made((SKY, 100, 96)) is None


def test_chosen_rows_know_their_sky_and_no_inputs(stamps, work):
    whole = PreparedStamps(stamps).part(np.arange(6))
    expected = whole.inputs([SKY], 100, 80)[SKY][ROWS]
    chosen = whole.chosen(ROWS)
    assert chosen.made((SKY, 100, 80)) is None
    done = work["skies"]
    np.testing.assert_array_equal(chosen.inputs([SKY], 100, 80)[SKY], expected)
    assert work["skies"] == done
    np.testing.assert_array_equal(chosen["VIS"], stamps["VIS"][ROWS])


def test_batches_are_joined_with_their_sky(stamps, work):
    whole = PreparedStamps(stamps)
    expected = whole.inputs([SKY], 100, 80)[SKY]
    together = PreparedStamps.joined([whole.chosen(np.array([5, 0])), whole.chosen(np.array([3]))])
    done = work["skies"]
    np.testing.assert_array_equal(together.inputs([SKY], 100, 80)[SKY], expected[[5, 0, 3]])
    assert work["skies"] == done
    assert list(together) == list(stamps)
    assert len(together) == len(stamps)


def test_stamps_are_prepared_once(stamps):
    prepared = PreparedStamps.of(stamps)
    assert PreparedStamps.of(prepared) is prepared
    assert dict(prepared) == stamps
