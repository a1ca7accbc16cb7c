import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from infra.errors import LensscanError
from infra.store.storage import create_if_absent
from scanner.preprocess.colour_picture import composite
from scanner.sources.shards import DATA_SET_KEY, ROWS_PER_SHARD, decode_shard, encode_shard, shard_schema
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.kinds import COMPONENTS, KINDS
from simulation.products import render as render_module
from simulation.products import truth as truth_module
from simulation.products.dataset import (
    KIND_SHARES,
    TWIN_ID,
    DatasetSpec,
    dataset_spec,
    is_shard_of,
    parse_kinds,
    per_object,
    shard_uris,
    simulate_at,
    simulate_objects,
    simulate_shard,
)
from simulation.products.render import SimulationError
from simulation.systems import Picture
from simulation.textures.library import TextureError, read_textures
from tests.damaged_parquet import with_damaged_footer
from tests.simulation.textures_made import write_textures

SPEC = DatasetSpec(n=12, seed=7)
STAR = DatasetSpec(n=1, seed=7, kinds=(("star", 1.0),))


@pytest.fixture(scope="module")
def table():
    return simulate_objects(SPEC, range(12))


def test_a_table_is_a_shard_with_truth(table):
    assert table.schema.equals(shard_schema(CHALLENGE))
    shard = decode_shard(encode_shard(table))
    assert shard.object_ids.tolist() == list(range(12)) == shard.truth["index"].to_pylist()
    assert set(shard.truth["kind"].to_pylist()) <= set(KINDS)
    assert shard.stamps["H"].shape == (12, 66, 66)
    assert all(np.isfinite(stamps).all() for stamps in shard.stamps.values())
    assert shard.truth["z_lens"].null_count == 0


def test_an_object_depends_on_seed_and_index_only(table):
    """The order of simulation and the other objects do not matter."""
    part = simulate_objects(SPEC, [9, 2])
    assert part.equals(pa.concat_tables([table.slice(9, 1), table.slice(2, 1)]))
    longer = DatasetSpec(n=9999, seed=7)
    assert simulate_objects(longer, [2]).equals(table.slice(2, 1))
    assert not simulate_objects(DatasetSpec(n=12, seed=8), [2])["VIS"].equals(table.slice(2, 1)["VIS"])


def test_kinds_have_the_requested_fractions():
    spec = DatasetSpec(n=6, seed=1, kinds=(("double_ring", 1.0), ("nonlens", 0.0)))
    assert simulate_objects(spec, range(3))["kind"].to_pylist() == ["double_ring"] * 3
    rings = DatasetSpec(n=3, seed=1, kinds=(("ring_galaxy", 1.0),))
    table = simulate_objects(rings, range(3))
    assert table["kind"].to_pylist() == ["nonlens"] * 3
    assert table["morphology"].to_pylist() == ["ring_galaxy"] * 3


def test_shards_split_the_objects(tmp_path):
    spec = DatasetSpec(n=ROWS_PER_SHARD + 2, seed=7)
    assert [uri.rsplit("/", 1)[1] for uri in shard_uris(spec, "s3://b/d")] == ["shard-00000.parquet", "shard-00001.parquet"]
    last = simulate_shard(spec, 1)
    assert last["object_id"].to_pylist() == [ROWS_PER_SHARD, ROWS_PER_SHARD + 1]
    with pytest.raises(ValueError, match=r"shard_number must be in \[0, 2\), got 2"):
        simulate_shard(spec, 2)


def test_a_shard_of_another_data_set_is_refused(tmp_path):
    spec = DatasetSpec(n=2, seed=7)
    uri = shard_uris(spec, str(tmp_path))[0]
    assert not is_shard_of(spec, 0, uri)
    create_if_absent(uri, encode_shard(simulate_shard(spec, 0)), "test")
    assert is_shard_of(spec, 0, uri)
    changes = {
        "seed 7, not 8": {"seed": 8},
        "geometry challenge, not mer": {"geometry": "mer"},
        "preset euclid, not wilde2022": {"preset": "wilde2022"},
        "components false, not true": {"components": True},
        "psf none, not 0123456789ab": {"psf_sha256": "0123456789abcdef"},
        "textures none, not 0": {"textures_sha256": "0"},
        "min_einstein_radius_arcsec 0.0, not 1.5": {"min_einstein_radius_arcsec": 1.5},
        "kinds nonlens=0.5,single=0.35,compound_arc=0.075,double_ring=0.075, not star=1.0": {"kinds": (("star", 1.0),)},
        "seed 7, not 8; pairs false, not true": {"pairs": True, "seed": 8},
    }
    for difference, change in changes.items():
        with pytest.raises(SimulationError) as raised:
            is_shard_of(DatasetSpec(**{"n": 2, "seed": 7, **change}), 0, uri)
        assert str(raised.value) == f"{uri} belongs to another data set ({difference}); use another folder"


def test_a_folder_keeps_its_number_of_objects(tmp_path):
    spec = STAR.model_copy(update={"n": 2})
    uri = shard_uris(spec, str(tmp_path))[0]
    create_if_absent(uri, encode_shard(simulate_shard(spec, 0)), "test")
    for n, why in ((3, "its last shard cannot grow"), (1, "a shard cannot get shorter")):
        with pytest.raises(SimulationError, match=f"holds 2 objects of this data set, not {n}: {why}; use another folder$"):
            is_shard_of(spec.model_copy(update={"n": n}), 0, uri)


def test_a_damaged_shard_is_named(tmp_path):
    (uri,) = shard_uris(STAR, str(tmp_path))
    for content in (b"", (data := encode_shard(simulate_shard(STAR, 0)))[:-40], with_damaged_footer(data)):
        Path(uri).write_bytes(content)
        with pytest.raises(SimulationError, match=r"shard-00000\.parquet is no readable Parquet file; remove it, or use"):
            is_shard_of(STAR, 0, uri)


@pytest.mark.parametrize("stated", [None, b"", b"{", b"[1]", b"\xff", per_object(STAR).replace(":", ": ").encode()])
def test_a_shard_of_unknown_origin_is_refused(tmp_path, stated):
    table = simulate_objects(STAR, [0])
    if stated is not None:
        table = table.replace_schema_metadata({**table.schema.metadata, b"lensscan.dataset": stated})
    uri = shard_uris(STAR, str(tmp_path))[0]
    create_if_absent(uri, encode_shard(table), "test")
    with pytest.raises(SimulationError, match=r"belongs to another data set \(unknown origin\); use another folder$"):
        is_shard_of(STAR, 0, uri)


def test_settings_of_a_later_version_are_named(tmp_path):
    table = simulate_shard(STAR, 0)
    later = {**json.loads(table.schema.metadata[b"lensscan.dataset"]), "tilt": "up", "kinds": "all"}
    table = table.replace_schema_metadata({**table.schema.metadata, b"lensscan.dataset": json.dumps(later).encode()})
    uri = shard_uris(STAR, str(tmp_path))[0]
    create_if_absent(uri, encode_shard(table), "test")
    with pytest.raises(SimulationError, match=r"\(kinds all, not star=1.0; tilt up, not none\)"):
        is_shard_of(STAR, 0, uri)


def test_a_failed_object_is_named(monkeypatch):
    monkeypatch.setattr(truth_module, "MIN_ARC_SNR", 1e9)
    monkeypatch.setattr(render_module, "MAX_TRIES", 2)
    spec = DatasetSpec(n=6, seed=3, kinds=(("single", 1.0),))
    with pytest.raises(SimulationError, match="object 5 of seed 3: no visible single"):
        simulate_objects(spec, [5])


@pytest.mark.parametrize(
    "kinds",
    [(("single", 0.5),), (("single", 1.5), ("nonlens", -0.5)), (("single", 0.5), ("single", 0.5)), (("quasar", 1.0),)],
)
def test_impossible_shares_are_refused(kinds):
    with pytest.raises(ValidationError):
        DatasetSpec(n=1, seed=1, kinds=kinds)


def test_kinds_are_parsed_from_text():
    assert parse_kinds("single,spiral") == (("single", 0.5), ("spiral", 0.5))
    assert parse_kinds("nonlens=3, double_ring = 1") == (("nonlens", 0.75), ("double_ring", 0.25))
    assert dataset_spec(1, 1).kinds == KIND_SHARES
    assert dataset_spec(1, 1, kinds="star").kinds == (("star", 1.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quasar", "kind must be one of nonlens, single, .*got 'quasar'"),
        ("single,single", "named once, got 'single' again"),
        ("single=0", "weight of single must be a number > 0, got '0'"),
        ("single=many", "weight of single must be a number > 0, got 'many'"),
        ("", "kind must be one of"),
        ("single,", "kind must be one of .*got ''"),
    ],
)
def test_malformed_kinds_are_refused(text, message):
    with pytest.raises(SimulationError, match=message):
        parse_kinds(text)


def test_the_papers_preset_does_not_fit_small_stamps():
    with pytest.raises(SimulationError, match="geometry must be challenge or mer, got mer10"):
        dataset_spec(1, 1, "wilde2022", geometry="mer10")


def test_the_papers_preset_has_only_its_kinds():
    with pytest.raises(LensscanError, match="no look-alike but 'twin'"):
        dataset_spec(1, 1, "wilde2022", "single,spiral")
    table = simulate_objects(dataset_spec(4, 1, "wilde2022", "nonlens,double_ring"), range(4))
    assert set(table["morphology"].to_pylist()) <= {"twin", "double_ring"}


def test_components_are_kept_on_request():
    spec = DatasetSpec(n=3, seed=7, kinds=(("compound_arc", 0.5), ("twin", 0.5)), components=True)
    table = simulate_objects(spec, range(3))
    shard = decode_shard(encode_shard(table))
    without = simulate_objects(spec.model_copy(update={"components": False}), range(3))
    # The sum of separately drawn components differs in its last bits, and so may one electron of noise.
    np.testing.assert_allclose(shard.stamps["VIS"], decode_shard(encode_shard(without)).stamps["VIS"], atol=0.005)
    assert shard.truth.equals(without.select(shard.truth.column_names))
    assert set(shard.components) == set(COMPONENTS)
    for i, kind in enumerate(shard.truth["kind"].to_pylist()):
        assert shard.components["lens_light"]["H"][i].sum() > 0
        assert (shard.components["source2"]["VIS"][i].sum() > 0) == (kind == "compound_arc")


def test_colours_of_a_composite_are_those_of_the_object(rng):
    """A red galaxy is red, a blue one blue, and empty sky grey."""
    axis = np.arange(100) - 49.5
    blob = np.exp(-(axis[None, :] ** 2 + axis[:, None] ** 2) / 50)
    sky = {band: rng.normal(0, 1, (100, 100)) for band in ("VIS", "Y", "J", "H")}
    red = composite({**sky, "H": sky["H"] + 100 * blob}, 0.1)[50, 50]
    blue = composite({**sky, "VIS": sky["VIS"] + 100 * blob}, 0.1)[50, 50]
    assert red[0] > red[2] + 0.3
    assert blue[2] > blue[0] + 0.3
    empty = composite(sky, 0.1).mean(axis=(0, 1))
    assert np.ptp(empty) < 0.03


PAIRS = DatasetSpec(n=8, seed=3, kinds=(("single", 0.6), ("elliptical", 0.4)), geometry="mer10", pairs=True)


@pytest.fixture(scope="module")
def paired():
    return simulate_objects(PAIRS, range(8))


def test_every_lens_is_followed_by_itself_without_arcs(paired):
    ids, indices, kinds = (paired[name].to_pylist() for name in ("object_id", "index", "kind"))
    lenses = [row for row, kind in enumerate(kinds) if kind == "single"]
    assert lenses
    assert paired.num_rows == 8 + len(lenses)
    assert sorted(i for i in ids if i < TWIN_ID) == list(range(8))
    for row in lenses:
        assert (ids[row + 1], indices[row + 1]) == (ids[row] + TWIN_ID, indices[row])
        twin = paired.slice(row + 1, 1)
        assert (twin["kind"][0].as_py(), twin["morphology"][0].as_py()) == ("nonlens", "twin")
        for name in ("z_lens", "lens_mag_vis", "detector_angle_deg"):
            assert twin[name][0] == paired[name][row]


def test_a_pair_differs_by_the_arcs_alone(paired):
    shard = decode_shard(encode_shard(paired))
    kinds = shard.truth["kind"].to_pylist()
    spec = PAIRS.model_copy(update={"components": True})
    with_components = decode_shard(encode_shard(simulate_objects(spec, range(8))))
    for row in (row for row, kind in enumerate(kinds) if kind == "single"):
        for band, sigma in (("VIS", 0.0027), ("H", 0.55)):
            difference = shard.stamps[band][row] - shard.stamps[band][row + 1]
            arcs = with_components.components["source1"][band][row]
            # Photons of the arcs add a little noise where they are; without arcs, both images are the same but for rounding.
            is_dark = arcs < 0.01 * sigma
            assert np.abs(difference[is_dark]).max() < 0.05 * sigma
            assert np.corrcoef(difference.ravel(), arcs.ravel())[0, 1] > 0.9


def test_pairs_do_not_change_the_lens_itself(paired):
    alone = simulate_objects(PAIRS.model_copy(update={"pairs": False}), range(8))
    is_own = np.array(paired["object_id"].to_pylist()) < TWIN_ID
    assert paired.filter(is_own).equals(alone)


def test_the_least_einstein_radius_is_that_of_every_lens():
    spec = DatasetSpec(n=6, seed=3, kinds=(("single", 0.5), ("twin", 0.5)), geometry="mer10", min_einstein_radius_arcsec=1.5)
    objects = [simulate_at(spec, index) for index in range(6)]
    radii = [of.scene.truth["einstein_radius1_arcsec"] for of in objects]
    assert {of.system.kind for of in objects} == {"single", "nonlens"}
    assert min(radius for radius in radii if radius is not None) >= 1.5
    # The galaxy of a twin was that of a wide lens, too: another one than without the limit.
    narrow = [simulate_at(spec.model_copy(update={"min_einstein_radius_arcsec": 0.0}), index) for index in range(6)]
    twins = [i for i, of in enumerate(objects) if of.system.kind == "nonlens"]
    assert any(objects[i].system.galaxy != narrow[i].system.galaxy for i in twins)


def test_the_least_einstein_radius_of_a_user_is_kept():
    assert [dataset_spec(1, 1, min_einstein_radius_arcsec=of).min_einstein_radius_arcsec for of in (0.0, 1.5, 3.0)] == [
        0,
        1.5,
        3,
    ]
    assert dataset_spec(1, 1) == dataset_spec(1, 1, min_einstein_radius_arcsec=0.0)


@pytest.mark.parametrize("radius", [-0.1, 3.01, float("nan")])
def test_an_einstein_radius_out_of_range_is_refused(radius):
    with pytest.raises(SimulationError, match=r"min_einstein_radius_arcsec must be in \[0, 3\], got"):
        dataset_spec(1, 1, min_einstein_radius_arcsec=radius)
    with pytest.raises(ValidationError, match="min_einstein_radius_arcsec"):
        DatasetSpec(n=1, seed=1, min_einstein_radius_arcsec=radius)


def test_a_shard_of_pairs_is_recognised(tmp_path):
    (uri,) = shard_uris(PAIRS, str(tmp_path))
    create_if_absent(uri, encode_shard(simulate_shard(PAIRS, 0)), "a")
    assert is_shard_of(PAIRS, 0, uri)
    with pytest.raises(SimulationError, match=r"belongs to another data set \(pairs true, not false\)"):
        is_shard_of(PAIRS.model_copy(update={"pairs": False}), 0, uri)
    with pytest.raises(SimulationError, match=r"rows of this data set, not \d+: a shard cannot get shorter"):
        is_shard_of(PAIRS.model_copy(update={"n": 1}), 0, uri)


N_TEXTURED = 24


@pytest.fixture(scope="module")
def textured(tmp_path_factory):
    """Return the specification of a data set with textures."""
    path = write_textures(tmp_path_factory.mktemp("textures") / "t.parquet")
    return dataset_spec(N_TEXTURED, 5, "broad", geometry="mer10", textures_uri=path)


def has_picture(system):
    lights = (*system.galaxy, *system.source1, *system.source2, *system.neighbours)
    return any(isinstance(light, Picture) for light in lights)


def test_textures_change_no_object_without_a_picture(textured):
    """Bit for bit: pictures are drawn by a generator of their own."""
    textures = read_textures(textured.textures_uri)
    plain = dataset_spec(N_TEXTURED, 5, "broad", geometry="mer10")
    found = set()
    for index in range(N_TEXTURED):
        with_textures, without = simulate_at(textured, index, None, textures), simulate_at(plain, index)
        assert not has_picture(without.system)
        is_same = all(np.array_equal(without.stamps[band], image) for band, image in with_textures.stamps.items())
        found.add((has_picture(with_textures.system), is_same))
    # A neighbour's picture may lie outside of the stamp.
    assert {(False, True), (True, False)} <= found <= {(False, True), (True, False), (True, True)}


def test_pictures_are_in_galaxies_sources_and_neighbours(textured):
    textures = read_textures(textured.textures_uri)
    systems = [simulate_at(textured, index, None, textures).system for index in range(N_TEXTURED)]
    parts = ("galaxy", "source1", "neighbours")
    found = {name for s in systems for name in parts if any(isinstance(light, Picture) for light in getattr(s, name))}
    assert found == set(parts)


def test_lenses_without_arcs_have_pictures_like_lenses(textured):
    textures = read_textures(textured.textures_uri)
    twins = textured.model_copy(update={"kinds": (("twin", 1.0),)})
    galaxies = [simulate_at(twins, index, None, textures).system.galaxy for index in range(30)]
    assert any(isinstance(light, Picture) for lights in galaxies for light in lights)


def test_an_object_with_textures_depends_on_its_index_only(textured):
    whole = simulate_objects(textured, range(6))
    assert simulate_objects(textured, [4, 1]).equals(pa.concat_tables([whole.slice(4, 1), whole.slice(1, 1)]))
    moved = textured.model_copy(update={"n": 9999})
    assert simulate_objects(moved, [1]).equals(whole.slice(1, 1))
    plain = dataset_spec(N_TEXTURED, 5, "broad", geometry="mer10")
    assert not simulate_objects(plain, range(6))["VIS"].equals(whole["VIS"])


def test_a_folder_keeps_to_one_file_of_textures(textured, tmp_path):
    spec = textured.model_copy(update={"n": 2})
    (uri,) = shard_uris(spec, str(tmp_path))
    create_if_absent(uri, encode_shard(simulate_shard(spec, 0)), "test")
    same = write_textures(tmp_path / "same.parquet")
    assert is_shard_of(dataset_spec(2, 5, "broad", geometry="mer10", textures_uri=same), 0, uri)
    other = write_textures(tmp_path / "other.parquet", n=13)
    for textures in (other, None):
        with pytest.raises(SimulationError, match="belongs to another data set"):
            is_shard_of(dataset_spec(2, 5, "broad", geometry="mer10", textures_uri=textures), 0, uri)


def test_a_file_that_was_replaced_meanwhile_is_refused(tmp_path):
    spec = dataset_spec(1, 5, "broad", geometry="mer10", textures_uri=write_textures(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").unlink()
    write_textures(tmp_path / "t.parquet", n=13)
    with pytest.raises(SimulationError, match=r"t\.parquet was replaced: its SHA-256 must be"):
        simulate_shard(spec, 0)


def test_shards_say_which_textures_they_have(textured):
    def described(spec):
        return json.loads(simulate_shard(spec, 0).schema.metadata[DATA_SET_KEY])

    plain = {"seed", "preset", "kinds", "geometry", "components", "psf_sha256"}
    assert set(described(DatasetSpec(n=1, seed=7))) == plain
    assert set(described(DatasetSpec(n=1, seed=7, pairs=True))) == {*plain, "pairs"}
    assert set(described(DatasetSpec(n=1, seed=7, min_einstein_radius_arcsec=1.0))) == {*plain, "min_einstein_radius_arcsec"}
    spec = textured.model_copy(update={"n": 1})
    assert set(described(spec)) == {*plain, "textures_sha256"}
    assert described(spec)["textures_sha256"] == textured.textures_sha256
    assert len(textured.textures_sha256) == 64


def test_textures_that_cannot_be_used_are_refused(textured, tmp_path):
    with pytest.raises(SimulationError, match="textures are for the presets euclid, broad and any_host, got wilde2022"):
        dataset_spec(1, 1, "wilde2022", textures_uri=textured.textures_uri)
    assert dataset_spec(1, 1, "euclid", textures_uri=textured.textures_uri).textures_sha256
    (tmp_path / "text.parquet").write_text("no textures")
    with pytest.raises(TextureError, match=r"text\.parquet"):
        dataset_spec(1, 1, textures_uri=str(tmp_path / "text.parquet"))
    with pytest.raises(FileNotFoundError):
        dataset_spec(1, 1, textures_uri=str(tmp_path / "missing.parquet"))
