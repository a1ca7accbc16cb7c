"""The joint coverage of lenses whose properties are set by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks.coverage import (
    FLUX_RATIO,
    INSIDE,
    PROPERTIES,
    RADIUS,
    covered_cells,
    joint_shares,
    lenses_of,
    markdown,
    rare_shares,
)

LENSES = pa.table(
    {
        "kind": ["single", "double_ring", "nonlens", "compound_arc", "single"],
        "lens_mag_vis": [20.0, 20.5, 19.0, 22.5, 20.9],
        "arc_to_lens_flux": [0.05, 0.9, None, 0.1, 1.2],
        "arc_snr": [20.0, 400.0, None, 60.0, 100.0],
        "n_galaxies_inside": [0, 2, None, 4, 0],
        "einstein_radius1_arcsec": [0.5, 2.0, None, 2.5, 1.0],
        "source1_vis_minus_h": [0.5, 1.0, None, 2.0, 0.7],
    }
)


@pytest.fixture
def lenses(tmp_path):
    pq.write_table(LENSES.slice(0, 2), tmp_path / "shard-00000.parquet")
    pq.write_table(LENSES.slice(2), tmp_path / "shard-00001.parquet")
    return lenses_of(tmp_path)


def test_only_lenses_are_counted(lenses, tmp_path):
    assert lenses["lens_mag_vis"].to_pylist() == [20.0, 20.5, 22.5, 20.9]
    pq.write_table(LENSES.slice(2, 1), tmp_path / "shard-00000.parquet")
    (tmp_path / "shard-00001.parquet").unlink()
    with pytest.raises(ValueError, match="got none in"):
        lenses_of(tmp_path)
    with pytest.raises(ValueError, match="got none in"):
        lenses_of(tmp_path / "absent")


def test_cells_begin_with_their_lower_edge(lenses):
    """The ratios lie in the bins 0, 3, 1, 3 and the radii, one of them on the edge 2, in the bins 0, 3, 3, 1."""
    expected = np.zeros((4, 4))
    expected[[0, 3, 1, 3], [0, 3, 3, 1]] = 0.25
    np.testing.assert_array_equal(joint_shares(lenses, FLUX_RATIO, RADIUS), expected)
    assert RADIUS.labels == ["< 0.8", "0.8-1.3", "1.3-2", ">= 2"]


def test_cells_of_all_properties_need_a_thousandth(lenses):
    assert covered_cells(lenses) == 4
    many = pa.concat_tables([lenses.slice(0, 1)] * 1500 + [lenses.slice(1, 1)])
    assert covered_cells(many) == 1


def test_rare_lenses_are_joint_properties(lenses):
    assert list(rare_shares(lenses).values()) == [0.5, 0.25, 0.5, 0.25, 0.25]


def test_the_page_sets_presets_beside_one_another(lenses):
    text = markdown({"euclid": lenses.slice(0, 1), "broad": lenses})
    assert "| two or more galaxies inside the Einstein radius | 0.0 | 50.0 |" in text
    assert f"| {INSIDE.name} | euclid: < 0.8 |" in text
    assert INSIDE.labels == ["0", "1", "2", ">= 3"]
    n_cells = int(np.prod([len(of.edges) + 1 for of in PROPERTIES]))
    assert f"| 1 of {n_cells} | 4 of {n_cells} |" in text
