import pyarrow as pa
import pytest
from astropy import units as u
from astropy.io.votable.ucd import check_ucd

from scanner.catalogue.columns import candidate_schema, markdown_table, network_names, score_fields, score_schema, unit_schema

NAMES = ("OU-66", "OU-200")


@pytest.mark.parametrize("field", list(candidate_schema(NAMES, maps=True)), ids=lambda field: field.name)
def test_every_column_has_unit_ucd_and_description(field):
    about = {key.decode(): value.decode() for key, value in field.metadata.items()}
    assert set(about) == {"unit", "ucd", "description"}
    assert check_ucd(about["ucd"], check_controlled_vocabulary=True)
    assert u.Unit(about["unit"], format="vounit") is not None
    assert len(about["description"]) > 10


def test_the_order_of_the_columns():
    scores = ["status", "detail", "p_OU-66", "p_OU-200", "p_lens", "p_compound", "subclass", "disagreement", "precision"]
    unit = ["object_id", "candidate_id", "ra", "dec", "tile", "night", *scores]
    assert [field.name for field in score_fields(NAMES)] == scores
    assert score_schema(pa.string(), NAMES).names == ["object_id", *scores, "ra", "dec"]
    second = ["second_p_lens", "second_disagreement"]
    assert unit_schema(NAMES).names == [*unit, *second]
    assert candidate_schema(NAMES).names == [*unit, *second, "ensemble", "plan_id"]


def test_ids_keep_their_type_and_scores_are_float32():
    assert score_schema(pa.string(), NAMES).field("object_id").type == pa.string()
    types = {field.type for field in score_schema(pa.int64(), NAMES) if field.name.startswith("p_")}
    assert types == {pa.float32()}


def test_networks_are_read_back_from_a_schema():
    assert network_names(candidate_schema(NAMES)) == NAMES


@pytest.mark.parametrize("names", [("a", "a"), ("lens",), ("compound",)])
def test_ambiguous_network_names_are_refused(names):
    with pytest.raises(ValueError, match="network names must be unique, and none may be"):
        score_fields(names)


def test_the_documentation_has_a_row_for_every_column():
    rows = markdown_table(NAMES).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == candidate_schema(NAMES, maps=True).names
    assert {row.count("|") for row in rows} == {4}
    assert not [row for row in rows if "<" in row]
