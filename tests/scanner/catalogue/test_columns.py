import re

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd

from scanner.catalogue.columns import (
    RANK_COLUMNS,
    candidate_schema,
    candidate_schema_like,
    network_names,
    published_schema,
    score_fields,
    score_schema,
    unit_schema,
    unit_schema_like,
)
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.sources.shards import TRUTH_FIELDS

NAMES = ("OU-66", "OU-200")
FIELDS = list(published_schema(NAMES, maps=True))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_column_has_unit_ucd_and_description(field):
    about = {key.decode(): value.decode() for key, value in field.metadata.items()}
    assert set(about) == {"unit", "ucd", "description"} | ({"network"} if field.name.startswith("p_OU") else set())
    assert check_ucd(about["ucd"], check_controlled_vocabulary=True)
    assert u.Unit(about["unit"], format="vounit") is not None
    assert len(about["description"]) > 10


def test_the_order_of_the_columns():
    kinds = ["p_single_given_lens", "p_compound_arc_given_lens", "p_double_ring_given_lens"]
    p = ["p_OU_66", "p_OU_200", "p_lens", "p_compound", *kinds]
    scores = ["status", "detail", "bands_shift_arcsec", *p, "subclass", "disagreement", "stage", "precision"]
    unit = ["object_id", "candidate_id", "ra", "dec", "tile", "night", *scores]
    assert [field.name for field in score_fields(NAMES)] == scores
    assert score_schema(pa.string(), NAMES).names == ["object_id", *scores, "ra", "dec"]
    assert unit_schema(NAMES).names == unit
    assert candidate_schema(NAMES).names == [*unit, "ensemble", "plan_id"]


def test_files_of_earlier_versions_lack_the_shift_of_bands_alone():
    now, before = (unit_schema(NAMES, shifts=shifts) for shifts in (True, False))
    assert [name for name in now.names if name != "bands_shift_arcsec"] == before.names
    assert unit_schema_like(before).equals(before)
    assert unit_schema_like(now).equals(now)
    assert candidate_schema_like(before).names == candidate_schema(NAMES, shifts=False).names


def test_subclass_states_the_shares_that_it_assumes():
    about = score_schema(pa.string(), NAMES).field("subclass").metadata[b"description"].decode()
    assert "half of the objects are lenses" in about
    assert "of the calibration" in about


def test_ids_keep_their_type_and_scores_are_float32():
    assert score_schema(pa.string(), NAMES).field("object_id").type == pa.string()
    types = {field.type for field in score_schema(pa.int64(), NAMES) if field.name.startswith("p_")}
    assert types == {pa.float32()}


def test_no_column_needs_quotes():
    networks = [network.name for name in ("mer3-sim", "ou7-sim") for network in read_card(SHIPPED_DIR / name).networks]
    table = pa.schema([*candidate_schema(networks, maps=True), *(column.field() for column in RANK_COLUMNS)]).empty_table()
    names = [*table.column_names, *(field.name for field in TRUTH_FIELDS)]
    assert [name for name in names if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)] == []
    assert len({name.lower() for name in table.column_names}) == len(table.column_names)
    with duckdb.connect() as connection:
        connection.register("candidates", table)
        found = connection.sql(f"select {', '.join(table.column_names)} from candidates order by rank")  # noqa: S608
        assert found.columns == table.column_names


def test_networks_are_read_back_from_a_schema():
    assert network_names(candidate_schema(NAMES)) == NAMES
    written = pa.BufferOutputStream()
    pq.write_table(candidate_schema(NAMES).empty_table(), written)
    assert network_names(pq.read_schema(pa.BufferReader(written.getvalue()))) == NAMES
    bare = pa.schema([field.remove_metadata() for field in unit_schema(NAMES)])
    assert network_names(bare) == ("OU_66", "OU_200")
    assert unit_schema(network_names(bare)).equals(bare)


@pytest.mark.parametrize("names", [("a", "a"), ("a-b", "A.b"), ("lens",), ("compound",), ("single-given-lens",)])
def test_ambiguous_network_names_are_refused(names):
    with pytest.raises(ValueError, match=r"needs a column of its own|is a column of the ensemble"):
        score_fields(names)
