"""The candidates that the networks see as alike, beside plans that cannot be read."""

import math
from pathlib import Path

import pytest

from scanner.catalogue.paths import plan_uri
from scanner.catalogue.query import query
from scanner.review.vetting.alike import Alike
from tests.scanner.catalogue_parts import NIGHT, finished

LATER = "2026-11-25"


def night_of(root, night, ids):
    """Write a night whose candidates lie at angles that rise with their ids."""
    values = {i: [math.cos(i / 50), math.sin(i / 50), *[0.0] * 30] for i in ids}
    p_lens = {i: 0.9 - i / 100 for i in ids}
    return finished(root, {"t": p_lens}, night=night, embeddings=values, reference_sha256="a" * 64)


def test_candidates_are_named_nearest_first(tmp_path):
    root = str(tmp_path)
    night_of(root, NIGHT, [1, 2, 4])
    night_of(root, LATER, [11, 13])
    alike = Alike(root, query(root).to_pylist())
    assert alike.ids_like(4) == [2, 1, 11, 13]
    assert alike.ids_like(99) == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{}")])
def test_an_unreadable_plan_hides_its_own_candidates_alone(tmp_path, damage):
    root = str(tmp_path)
    night_of(root, NIGHT, [1, 2, 4])
    damage(Path(plan_uri(root, night_of(root, LATER, [11, 13]).plan_id)))
    alike = Alike(root, query(root).to_pylist())
    assert alike.ids_like(4) == [2, 1]
    assert alike.ids_like(11) == []
