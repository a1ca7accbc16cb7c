"""Tests of arc masks, on arcs placed by hand in shards."""

from dataclasses import replace

import numpy as np
import pytest

from scanner.explain.explanation import stamp_side_arcsec
from scanner.explain.sanity import hits, hits_of_middle
from scanner.networks.package import draft_network_card
from scanner.sources.shards import decode_shard, encode_shard, shard_table
from scanner.vocabulary.geometry import CHALLENGE, MER, MER_10
from scanner.vocabulary.kinds import COMPONENTS
from tests.scanner.ensembles import SPECS
from training.errors import TrainingError
from training.evaluation.arc_truth import arcs, bright_lenses, on_input, with_bright_arcs


def made_shard(geometry, arc_snr=(100.0, 39.0, None, 60.0), *, with_components=True):
    """Make a shard of four objects; the last has its arc in the corner."""
    rng = np.random.default_rng(2)
    stamps = {band: rng.normal(size=(4, g.n_pixels, g.n_pixels)).astype(np.float32) for band, g in geometry.grids.items()}
    components = {name: {band: np.zeros_like(images) for band, images in stamps.items()} for name in COMPONENTS}
    middle = geometry.grids["VIS"].n_pixels // 2
    components["source1"]["VIS"][:3, middle + 20, middle - 10] = 5
    components["source2"]["VIS"][0, middle - 7, middle + 3] = 3
    components["source2"]["VIS"][3, 0, 0] = 5
    components["lens_light"]["VIS"][:, middle, middle] = 50
    table = shard_table(np.arange(4), stamps, {"arc_snr": list(arc_snr)}, geometry, components if with_components else None)
    return decode_shard(encode_shard(table))


@pytest.mark.parametrize("geometry", [CHALLENGE, MER, MER_10], ids=lambda g: g.name)
def test_lensed_light_of_both_sources_makes_the_arc_mask(geometry):
    shard = made_shard(geometry)
    stamps, truth = bright_lenses(shard, geometry)
    middle = geometry.grids["VIS"].n_pixels // 2
    assert np.argwhere(truth[0]).tolist() == [[middle - 7, middle + 3], [middle + 20, middle - 10]]
    assert np.argwhere(truth[1]).tolist() == [[0, 0]]
    for band, images in stamps.items():
        np.testing.assert_array_equal(images, shard.stamps[band][[0, 3]])


def test_wider_stamps_are_cut_and_outer_arcs_do_not_count():
    stamps, truth = bright_lenses(made_shard(MER), MER_10)
    assert len(truth) == 1
    assert np.argwhere(truth[0]).tolist() == [[43, 53], [70, 40]]
    np.testing.assert_array_equal(stamps["H"][0], made_shard(MER).stamps["H"][0, 50:150, 50:150])


FROM_MIDDLE = np.hypot(*(np.mgrid[:100, :100] - 50))
LIGHT = np.where(FROM_MIDDLE < 15, 2 + 0.2 * FROM_MIDDLE, 0)
"""Light of an arc of 2 to 5 sigma, in all pixels near the middle."""
LENS = 1000 * np.exp(-FROM_MIDDLE / 3)
"""Light of a lens galaxy, 500 times as bright in the middle."""


def under(lens):
    """Make a shard of four objects with the arc `LIGHT` and the lens galaxy light `lens`, `[object, y, x]`."""
    images = {"source1": np.repeat(LIGHT[None], 4, 0), "source2": np.zeros_like(lens), "lens_light": lens}
    return replace(made_shard(MER_10), components={name: {"VIS": light} for name, light in images.items()})


def test_faint_arc_light_under_a_bright_core_does_not_count():
    shard = under(np.repeat(LENS[None], 4, 0))
    _, truth = bright_lenses(shard, MER_10)
    assert truth.shape == (2, 100, 100)
    np.testing.assert_array_equal(truth[0], (LIGHT > 1.5) & (LIGHT >= 0.1 * LENS))
    assert LIGHT[50, 50] > 1.5
    assert not truth[:, 44:57, 44:57].any()
    peak = np.zeros(truth.shape)
    peak[:, 50, 50] = 1
    for slack in (0, 2, 4):
        assert not hits(peak, truth, slack).any()
        assert not hits_of_middle(truth, slack).any()
    # With a mask of lensed light alone, the middle would hit.
    assert hits(peak, arcs(shard, MER_10, 0.0)[:2]).all()


def test_lenses_with_arcs_lost_in_the_core_are_left_out():
    lens = np.repeat(LENS[None], 4, 0)
    for times, rows in ((11, [3]), (9.9, [0, 3])):
        lens[0] = times * LIGHT
        shard = under(lens)
        assert with_bright_arcs(shard, arcs(shard, MER_10)).tolist() == rows
        assert len(bright_lenses(shard, MER_10)[1]) == len(rows)


def test_unusable_shards_are_errors():
    with pytest.raises(TrainingError, match=r"has no components, .*: simulate with --components"):
        bright_lenses(made_shard(MER_10, with_components=False), MER_10)
    with pytest.raises(
        TrainingError, match="of challenge are 20 arcsec wide, those of mer10 only 10: simulate with --geometry"
    ):
        bright_lenses(made_shard(MER_10), CHALLENGE)
    stamps, truth = bright_lenses(made_shard(MER_10, (1.0, 2.0, None, None)), MER_10)
    assert truth.shape == (0, 100, 100)
    assert stamps["Y"].shape == (0, 100, 100)


def test_an_input_pixel_is_arc_if_any_part_is(rng):
    """Compare with overlaps worked out one by one."""
    truth = np.zeros((1, 200, 200), bool)
    truth[0, rng.integers(0, 200, 30), rng.integers(0, 200, 30)] = True
    for spec, side in zip(SPECS, (19.8, 20.0, 20.0), strict=True):
        card = draft_network_card(spec, "challenge", {})
        assert stamp_side_arcsec(card) == pytest.approx(side)
        n = card.input_pixels
        edges = np.linspace(-side / 2, side / 2, n + 1)
        expected = np.zeros((n, n), bool)
        for y, x in np.argwhere(truth[0]) * 0.1 - 10:
            rows, columns = ((edges[:-1] < at + 0.1 - 1e-6) & (edges[1:] > at + 1e-6) for at in (y, x))
            expected |= rows[:, None] & columns[None, :]
        np.testing.assert_array_equal(on_input(truth, card)[0], expected)
