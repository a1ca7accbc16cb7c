"""Check that maps in unit files and in the catalogue belong to the right rows, are complete, and are compared bit by bit."""

import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.store.storage import read_bytes
from scanner.catalogue.audit.reconcile import reconcile
from scanner.catalogue.audit.verify import verify_plan
from scanner.catalogue.columns import candidate_schema, unit_schema
from scanner.catalogue.ledger import PublishError, publish
from scanner.catalogue.map_columns import CUTOUT, CUTOUT_STEP, EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.maps import MapError, check_maps, map_arrays, with_map_digests
from scanner.catalogue.night_file import show
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.query import query
from scanner.catalogue.seal import seal
from scanner.catalogue.unitfile import UnitFileError, decode_unit, encode_unit, make_footer, read_unit
from tests.scanner.catalogue_parts import NETWORKS, NIGHT, EnsembleName, plan_of, scores, unit_of, with_maps

P_LENS = [0.9, 0.2, 0.6, None, 0.7]
IDS = [11, 12, 13, 14, 15]
MOST = 2
BEST = {0, 4}


@pytest.fixture
def plan():
    return plan_of({"a": IDS, "b": [21, 22], "c": []}, maps_per_unit=MOST)


@pytest.fixture
def tables():
    return {
        "a": with_maps(scores(IDS, P_LENS), BEST),
        "b": with_maps(scores([21, 22], [0.1, 0.95]), {1}),
        "c": with_maps(scores([], []), set()),
    }


@pytest.fixture
def sealed(tmp_path, plan, tables):
    root = str(tmp_path)
    freeze(plan, root)
    for unit in plan.units:
        publish(tables[unit.unit_id], unit, plan, root, "try")
    report = seal(plan, root)
    show(plan, root)
    return root, report


def expected_maps(object_id):
    return {column.name: [(object_id + k) % 100 for k in range(column.n_values)] for column in MAP_COLUMNS}


def test_a_unit_file_has_maps_of_its_best_candidates_only(sealed, plan):
    root, _ = sealed
    table = read_unit(root, plan.unit("a"), plan).table
    assert table.schema.equals(unit_schema(NETWORKS, maps=True))
    assert table["object_id"].to_pylist() == [11, 15, 13, 12, 14]
    for column in MAP_COLUMNS:
        found = table[column.name]
        assert found.to_pylist()[:2] == [expected_maps(11)[column.name], expected_maps(15)[column.name]]
        assert found.to_pylist()[2:] == [None] * 3
        one = column.n_values * column.type.value_type.bit_width / 8
        assert found.nbytes < 2 * one + 100
    assert table["attribution_arc"].to_pylist() == [np.float32(0.11), np.float32(0.15), None, None, None]


def test_the_catalogue_has_maps_in_lists_of_fixed_size(sealed):
    _, report = sealed
    table = pq.read_table(report.candidates_uri, partitioning=None)
    assert table.schema.equals(candidate_schema(NETWORKS, maps=True))
    assert table["object_id"].to_pylist() == [22, 11, 15, 13]
    for column in MAP_COLUMNS:
        assert pa.types.is_fixed_size_list(table.schema.field(column.name).type)
        values = table[column.name].to_pylist()
        assert values == [*(expected_maps(i)[column.name] for i in (22, 11, 15)), None]
        image = table[column.name][0].values.to_numpy().reshape(column.shape)
        assert image[0, 0].flat[0] == 22


def test_a_query_omits_pixels_unless_sql_selects_them(sealed):
    root, _ = sealed
    found = query(root)
    assert found["object_id"].to_pylist() == [22, 11, 15, 13]
    assert not {column.name for column in MAP_COLUMNS} & set(found.column_names)
    assert {column.name for column in EXPLANATION_COLUMNS} < set(found.column_names)
    pixels = query(root, sql="SELECT map_occlusion FROM candidates WHERE object_id = 15")["map_occlusion"].to_pylist()
    assert pixels == [expected_maps(15)["map_occlusion"]]


def test_candidates_of_nights_with_and_without_maps_are_queried_together(sealed):
    root, _ = sealed
    old = make_plan(NIGHT, EnsembleName(), ScanConfig(), [unit_of("z", [91])])
    publish(scores([91], [0.99]), old.units[0], old, root, "try")
    seal(old, root)
    show(old, root)
    assert query(root)["object_id"].to_pylist() == [91, 22, 11, 15, 13]
    assert query(root, sql="SELECT map_cam FROM candidates WHERE object_id = 91").to_pylist() == [{"map_cam": None}]


def test_files_of_an_earlier_version_lack_the_pixels_of_bands(sealed):
    """A night shows a scan from before `cutout_sigma` beside one with it: all other maps are there, and the unit is null."""
    root, _ = sealed
    old = make_plan(NIGHT, EnsembleName(), ScanConfig(maps_per_unit=MOST), [unit_of("z", [91, 92])])
    freeze(old, root)
    before = with_maps(scores([91, 92], [0.99, 0.8]), {0, 1}).drop_columns([CUTOUT.name, CUTOUT_STEP.name])
    publish(before, old.units[0], old, root, "try")
    assert pq.read_table(seal(old, root).candidates_uri, partitioning=None).schema.equals(
        candidate_schema(NETWORKS, maps=True, cutouts=False)
    )
    show(old, root)
    assert reconcile(old, root).is_equal
    assert not verify_plan(old.plan_id, root, deep=True).faults
    found = query(root, maps=True)
    assert found["object_id"].to_pylist() == [91, 22, 11, 92, 15, 13]
    assert found[CUTOUT_STEP.name].is_valid().to_pylist() == [False, True, True, False, True, False]
    maps = dict(zip(found["object_id"].to_pylist(), found["map_cam"].to_pylist(), strict=True))
    assert maps == {i: expected_maps(i)["map_cam"] for i in (91, 92, 22, 11, 15)} | {13: None}
    pixels = dict(zip(found["object_id"].to_pylist(), found[CUTOUT.name].to_pylist(), strict=True))
    assert pixels[11] == expected_maps(11)[CUTOUT.name]
    assert not any(pixels[91])


def test_audits_check_the_maps_too(sealed, plan):
    root, report = sealed
    assert reconcile(plan, root).is_equal
    assert not verify_plan(plan.plan_id, root, deep=True).faults
    table = pq.read_table(report.candidates_uri, partitioning=None)
    pixels = table["map_guided"].to_pylist()
    pixels[2][7] += 1
    place = table.column_names.index("map_guided")
    changed = table.set_column(place, table.schema.field(place), pa.array(pixels, table.schema.field(place).type))
    pq.write_table(changed, report.candidates_uri)
    found = reconcile(plan, root)
    assert (found.missing_candidates.examples, found.extra_candidates.examples) == (("15",), ("15",))
    assert verify_plan(plan.plan_id, root, deep=True).faults


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({0}, "the best 2 candidates must have maps, 1 rows have them"),
        ({0, 2, 4}, "the best 2 candidates must have maps, 3 rows have them"),
        ({0, 1}, "the best 2 candidates must have maps, 2 rows have them"),
        ({0, 3}, "the best 2 candidates must have maps, 2 rows have them"),
        ({0, 2}, "a candidate without maps is better than one with maps"),
    ],
)
def test_maps_of_other_rows_than_the_best_candidates_are_refused(plan, tmp_path, places, message):
    table = with_maps(scores(IDS, P_LENS), places)
    with pytest.raises(PublishError, match=f"unit a: {message}"):
        publish(table, plan.unit("a"), plan, str(tmp_path), "try")
    assert not list(tmp_path.iterdir())
    # The reader refuses such a file as well.
    data = encode_unit(table, make_footer(table, plan.unit("a"), plan, "try"))
    with pytest.raises(UnitFileError, match=message):
        decode_unit(data, plan.unit("a"), plan, "here")


def test_equally_probable_candidates_may_have_maps_or_not(plan, tmp_path):
    """Any two of them may have maps, and the reader accepts the file; a candidate that is better by one bit must have maps."""
    for places in ({1, 2}, {0, 4}):
        table = with_maps(scores(IDS, [0.9, 0.9, 0.9, None, 0.9]), places)
        root = str(tmp_path / str(min(places)))
        publish(table, plan.unit("a"), plan, root, "try")
        found = read_unit(root, plan.unit("a"), plan).table
        assert found.filter(found["map_cam"].is_valid())["object_id"].to_pylist() == sorted(IDS[place] for place in places)
    better = float(np.nextafter(np.float32(0.9), np.float32(1)))
    table = with_maps(scores(IDS, [better, 0.9, 0.9, None, 0.9]), {1, 2})
    with pytest.raises(MapError, match="a candidate without maps is better than one with maps"):
        check_maps(table, plan.config)


@pytest.mark.parametrize("name", ["map_cam", "cutout_rgb", "map_occlusion"])
def test_maps_of_another_size_are_refused(tables, plan, name):
    table = tables["a"]
    place = table.column_names.index(name)
    values = table[name].to_pylist()
    short = pa.array([values[0][:-1], *values[1:]], table.schema.field(place).type)
    with pytest.raises(MapError, match=f"{name}: must have {len(values[0])} values, got \\[{len(values[0]) - 1}\\]"):
        check_maps(table.set_column(place, table.schema.field(place), short), plan.config)
    none = pa.array([None, *values[1:]], table.schema.field(place).type)
    with pytest.raises(MapError, match=r"must be null exactly where|must have maps"):
        check_maps(table.set_column(place, table.schema.field(place), none), plan.config)


def test_numbers_without_maps_are_refused(tables, plan):
    table = tables["a"]
    place = table.column_names.index("occlusion_drop")
    spread = table.set_column(place, table.schema.field(place), pa.array([1.0] * 5, pa.float32()))
    with pytest.raises(MapError, match="occlusion_drop: must be null where there are no maps"):
        check_maps(spread, plan.config)


@pytest.mark.parametrize("most", [0, 3])
def test_a_table_must_have_maps_if_the_plan_does(tables, most):
    table = scores(IDS, P_LENS) if most else tables["a"]
    with pytest.raises(MapError, match=f"the plan asks for maps of {most} candidates"):
        check_maps(table, ScanConfig(maps_per_unit=most))


def test_columns_of_maps_are_filled_where_they_belong():
    rng = np.random.default_rng(3)
    places = np.array([4, 1, 3])
    values = {column.name: rng.integers(0, 100, (3, *column.shape)).astype(np.int16) for column in MAP_COLUMNS}
    values |= {column.name: np.array([0.5, np.nan, 0.25]) for column in EXPLANATION_COLUMNS}
    columns = map_arrays(6, places, values)
    for column in MAP_COLUMNS:
        expected = [None] * 6
        for place, image in zip(places, values[column.name], strict=True):
            expected[place] = image.reshape(-1).tolist()
        assert columns[column.name].to_pylist() == expected
        assert columns[column.name].type == column.type
    assert columns["attribution_arc"].to_pylist() == [None, None, None, 0.25, 0.5, None]


def test_rows_without_maps_have_nulls():
    columns = map_arrays(3, np.empty(0, np.int64), {})
    schema = unit_schema(NETWORKS, maps=True)
    assert all(column.null_count == len(column) == 3 for column in columns.values())
    assert all(column.type == schema.field(name).type for name, column in columns.items())


def test_different_maps_have_different_digests(tables):
    table = tables["a"]
    digests = with_map_digests(table)
    assert digests["map_cam"].to_pylist()[1] is None
    assert digests["map_cam"].to_pylist()[0] != digests["map_cam"].to_pylist()[4]
    # The digests of a slice are those of its own rows.
    assert with_map_digests(table.slice(4, 1))["map_cam"].to_pylist() == digests["map_cam"].to_pylist()[4:]


def test_the_plan_id_depends_on_the_number_of_maps():
    units = [unit_of("a", [1])]
    ids = {make_plan(NIGHT, EnsembleName(), ScanConfig(maps_per_unit=n), units).plan_id for n in (0, 1, 2)}
    assert len(ids) == 3


def test_bytes_do_not_depend_on_row_order_or_chunks(plan, tables):
    """The rows come in another order and in other chunks."""
    unit = plan.unit("a")
    written = []
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        parts = [tables["a"].take(order[:2]), tables["a"].take(order[2:])]
        with tempfile.TemporaryDirectory() as root:
            publish(pa.concat_tables(parts), unit, plan, root, "try")
            written.append(read_bytes(unit_uri(root, plan.plan_id, "a")))
    assert written[0] == written[1]


def test_candidates_with_maps_come_first_among_equals(tmp_path):
    plan = plan_of({"a": IDS}, maps_per_unit=2)
    table = with_maps(scores(IDS, [0.9, 0.9, 0.9, None, 0.9]), {1, 4})
    publish(table, plan.unit("a"), plan, str(tmp_path), "try")
    assert read_unit(str(tmp_path), plan.unit("a"), plan).table["object_id"].to_pylist() == [12, 15, 11, 13, 14]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("map_cam", lambda values: [[None, *values[0][1:]], *values[1:]], "map_cam: must have no nulls among its values"),
        ("occlusion_step", lambda values: [None, *values[1:]], "occlusion_step: must not be null where there are maps"),
        ("attribution_arc", lambda values: [7.0, *values[1:]], "attribution_arc: a share must lie in 0-1"),
    ],
)
def test_unreadable_maps_are_refused(tables, plan, name, values, message):
    table = tables["a"]
    field = table.schema.field(name)
    changed = table.set_column(table.column_names.index(name), field, pa.array(values(table[name].to_pylist()), field.type))
    with pytest.raises(MapError, match=message):
        check_maps(changed, plan.config)


def test_many_candidates_are_sealed_in_groups(tmp_path):
    """A reader holds one group at a time."""
    ids = {unit: list(range(start, start + 700)) for unit, start in (("a", 0), ("b", 1000))}
    plan = plan_of(ids, maps_per_unit=3, candidate_threshold=0.0)
    freeze(plan, str(tmp_path))
    rng = np.random.default_rng(5)
    p_lens = {unit: rng.random(700).astype(np.float32) for unit in ids}
    for unit in plan.units:
        p = p_lens[unit.unit_id]
        table = with_maps(scores(ids[unit.unit_id], p.tolist()), set(np.argsort(-p)[:3].tolist()))
        publish(table, unit, plan, str(tmp_path), "try")
    file = pq.ParquetFile(seal(plan, str(tmp_path)).candidates_uri)
    assert [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)] == [256] * 5 + [120]
    found = file.read(columns=["p_lens", "map_cam"])
    assert found["p_lens"].to_pylist() == sorted(np.concatenate(list(p_lens.values())).tolist(), reverse=True)
    assert found["map_cam"].null_count == 1394
    assert reconcile(plan, str(tmp_path)).is_equal
    assert not verify_plan(plan.plan_id, str(tmp_path), deep=True).faults
