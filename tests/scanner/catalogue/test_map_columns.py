"""The columns of maps are on the grid that `scanner.explain` draws, and a schema may lack those of later versions."""

from scanner.catalogue.columns import candidate_schema, has_maps, unit_schema, unit_schema_like
from scanner.catalogue.map_columns import CUTOUT, CUTOUT_STEP, EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.explain.map_grid import CAM_CELLS, GUIDED_CELLS, OCCLUSION_CELLS, PICTURE_PIXELS


def test_maps_have_the_pixels_of_the_grid():
    n = PICTURE_PIXELS
    assert {column.name: column.shape for column in MAP_COLUMNS} == {
        "cutout_rgb": (n, n, 3),
        "cutout_sigma": (4, n, n),
        "map_guided": (GUIDED_CELLS, GUIDED_CELLS),
        "map_cam": (CAM_CELLS, CAM_CELLS),
        "map_occlusion": (OCCLUSION_CELLS, OCCLUSION_CELLS),
    }


def test_an_earlier_schema_lacks_the_pixels_of_bands_alone():
    now, before = (unit_schema((), maps=True, cutouts=cutouts) for cutouts in (True, False))
    assert set(now.names) - set(before.names) == {CUTOUT.name, CUTOUT_STEP.name}
    assert has_maps(before)
    assert unit_schema_like(before).equals(before)
    assert unit_schema_like(now).equals(now)
    fixed = candidate_schema((), maps=True, cutouts=False)
    assert [name for name in fixed.names if name in before.names] == before.names


def test_a_schema_without_maps_has_none_of_the_columns():
    names = {column.name for column in (*EXPLANATION_COLUMNS, *MAP_COLUMNS)}
    assert not names & set(unit_schema(()).names)
