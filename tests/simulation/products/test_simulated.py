import numpy as np
import pytest

from infra.errors import LensscanError
from scanner.sources.shards import decode_shard, encode_shard
from simulation.products.dataset import dataset_spec, simulate_shard
from simulation.products.simulated import simulate


def test_objects_are_those_of_a_shard():
    got = simulate(3, 5, ["elliptical", "star"], "mer10", "euclid")
    shard = decode_shard(encode_shard(simulate_shard(dataset_spec(3, 5, kinds="elliptical,star", geometry="mer10"), 0)))
    assert {band: images.shape for band, images in got.images.items()} == dict.fromkeys(("VIS", "Y", "J", "H"), (3, 100, 100))
    assert all(np.array_equal(got.images[band], images) for band, images in shard.stamps.items())
    assert got.truth.to_arrow().drop_columns("object_id").equals(shard.truth)
    assert repr(got) == "Simulated 3 nonlens; images " + ", ".join(f"{band} [3, 100, 100]" for band in ("VIS", "Y", "J", "H"))
    assert [row["object_id"] for row in got.truth] == [0, 1, 2]
    assert {row["kind"] for row in got.truth} == {"nonlens"}
    assert str(got.truth.to_astropy()["lens_mag_vis"].unit) == "mag"


def test_a_mapping_gives_the_weights_of_kinds():
    got, text = (simulate(4, 5, kinds, "mer10", "euclid") for kinds in ({"star": 3, "single": 0.5}, "star=3,single=0.5"))
    assert got.truth.to_arrow().equals(text.truth.to_arrow())
    assert {row["kind"] for row in simulate(2, 5, {"star": 1e-9, "single": 1}, "mer10", "euclid").truth} == {"single"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n": 0}, "n must be an integer of at least 1, got 0"),
        ({"n": 2.5}, "got 2.5"),
        ({"n": True}, "got True"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"kinds": "lens"}, "kind must be one of .*, got 'lens'"),
        ({"kinds": {"star": 0}}, "the weight of star must be a number > 0, got '0'"),
        ({"geometry": "hst"}, "geometry must be one of challenge, mer, mer10, got 'hst'"),
        ({"preset": "lsst"}, "preset must be one of euclid, broad, any_host, wilde2022, got 'lsst'"),
    ],
)
def test_arguments_out_of_range_are_named(changes, says):
    given = {"n": 1, "seed": 1, "kinds": None, "geometry": "mer10", "preset": "euclid", **changes}
    for kind in (ValueError, LensscanError):
        with pytest.raises(kind, match=says):
            simulate(**given)
