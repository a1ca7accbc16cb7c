"""Names of the columns of networks."""

import pytest

from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import COMBINED_P, check_network_columns, network_column_name


@pytest.mark.parametrize(
    ("network", "column"),
    [("compact-sky", "p_compact_sky"), ("OU-66", "p_OU_66"), ("a.b-c_d", "p_a_b_c_d"), ("7", "p_7"), ("\u00e4\u00b2", "p___")],
)
def test_columns_are_named_for_networks_without_odd_characters(network, column):
    assert network_column_name(network) == column


@pytest.mark.parametrize("names", [("a-b", "a.b"), ("a-b", "A_B"), ("a", "b", "a")])
def test_networks_that_would_share_a_column_are_refused(names):
    with pytest.raises(ValueError, match=r"needs a column of its own, but \['a.*\] share p_a.*case does not count"):
        check_network_columns(names)


@pytest.mark.parametrize("name", ["lens", "Compound", "single-given-lens", "DOUBLE_ring.given-lens"])
def test_no_network_may_take_a_column_of_the_ensemble(name):
    with pytest.raises(ValueError, match=rf"may not be called '{name}': p_\w+ is a column of the ensemble"):
        check_network_columns(["other", name])


def test_different_networks_and_every_lens_kind_have_columns():
    check_network_columns(["a-b", "a-c", "lens-2", "nonlens"])
    assert [f"p_{kind}_given_lens" for kind in KINDS[1:]] == list(COMBINED_P[2:])
