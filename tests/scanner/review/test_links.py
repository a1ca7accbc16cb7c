"""Addresses of services on the web, as columns of a table."""

from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from scanner.review.links import with_links

ROWS = pa.table({"candidate_id": ["EUCL J1", "KiDS J2", None, "EUCL J4"], "ra": [10.0, 20, 30, None], "dec": [-5.5, 1, 2, 3]})


def test_each_row_has_the_addresses_of_its_place():
    found = with_links(ROWS)
    assert found.column_names == ["candidate_id", "ra", "dec", "aladin", "esasky"]
    asked = [[url and parse_qs(urlsplit(url).query) for url in found[name].to_pylist()] for name in ("aladin", "esasky")]
    targets = ["10.000000 -5.500000", "20.000000 1.000000", "30.000000 2.000000"]
    for of_service in asked:
        assert [query["target"] for query in of_service[:3]] == [[target] for target in targets]
        assert of_service[3] is None


def test_only_candidates_of_euclid_begin_with_its_images():
    addresses = with_links(ROWS)["aladin"].to_pylist()
    assert ["survey=" in url for url in addresses[:3]] == [True, False, False]


def test_a_table_without_rows_gains_empty_columns():
    found = with_links(ROWS.slice(0, 0))
    assert (found.num_rows, found.schema.field("esasky").type) == (0, pa.string())
