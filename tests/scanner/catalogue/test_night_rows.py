"""Rows that are read from the nights' files are those of a read of everything, and damage costs only time."""

import numpy as np
import pyarrow.compute as pc
import pytest

from scanner.catalogue import night_file
from scanner.catalogue import query as module
from scanner.catalogue.query import query
from scanner.catalogue.selection import Circle
from scanner.catalogue.visible import visible_candidates
from scanner.catalogue.wanted import Wanted
from tests.scanner.catalogue_parts import NIGHT, finished

NIGHTS = (NIGHT, "2026-02-01", "2026-02-02")
CIRCLE = Circle(ra_deg=10.0, dec_deg=-45.0, radius_deg=0.5)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Make three nights of a hundred rows each, some of them equally good, with places near and far from the circle."""
    root = str(tmp_path_factory.mktemp("catalogue"))
    rng = np.random.default_rng(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(night_file, "_LIGHT_ROWS_PER_GROUP", 8)
        for i, night in enumerate(NIGHTS):
            p_lens = {int(j): float(np.float32(rng.choice([0.2, 0.5, 0.6, 0.75, 0.9]))) for j in range(50 * i, 50 * i + 100)}
            places = {"ra": rng.uniform(9, 11, 100).tolist(), "dec": rng.uniform(-46, -44, 100).tolist()}
            kinds = {"subclass": rng.choice(["single", "double_ring"], 100).tolist()}
            finished(root, {"a": p_lens}, night=night, changes=places | kinds)
    return root


def brute_force(root, *, min_p_lens=None, subclass=None, circle=None, limit=None, night=None):
    table = visible_candidates(root, min_p_lens=min_p_lens, night=night)
    if subclass:
        table = table.filter(pc.equal(table["subclass"], subclass))
    if circle:
        ra, dec = (np.radians(table[name].to_numpy()) for name in ("ra", "dec"))
        ra0, dec0 = np.radians([circle.ra_deg, circle.dec_deg])
        cosine = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(ra - ra0)
        table = table.filter(np.degrees(np.arccos(cosine)) <= circle.radius_deg)
    return table.slice(0, limit)


@pytest.mark.parametrize("limit", [None, 0, 1, 7, 1000])
@pytest.mark.parametrize(
    "filters",
    [{}, {"subclass": "single"}, {"circle": CIRCLE}, {"min_p_lens": 0.7, "subclass": "double_ring"}, {"night": NIGHTS[1]}],
)
def test_rows_are_those_of_brute_force(root, filters, limit, monkeypatch):
    expected = brute_force(root, limit=limit, **filters)
    monkeypatch.setattr(module, "visible_candidates", lambda *_, **__: pytest.fail("everything was read"))
    found = query(root, Wanted(limit=limit, **filters))
    assert found.to_pylist() == expected.to_pylist()
    assert found.schema.equals(expected.schema)


def test_a_lower_threshold_reads_everything(root):
    assert query(root, Wanted(min_p_lens=0.1)).num_rows == brute_force(root, min_p_lens=0.1).num_rows > query(root).num_rows


def test_maps_come_with_the_rows(tmp_path):
    finished(str(tmp_path), {"a": {1: 0.9, 2: 0.8, 3: 0.7}}, maps_per_unit=2)
    expected = visible_candidates(str(tmp_path), maps=True)
    assert query(str(tmp_path), maps=True).equals(expected)
    assert query(str(tmp_path), Wanted(limit=1), maps=True).equals(expected.slice(0, 1))


@pytest.mark.parametrize("damage", ["cut", "flipped", "old", "gone"])
def test_a_bad_night_file_costs_only_time(tmp_path, damage):
    finished(str(tmp_path), {"a": {1: 0.9, 2: 0.8, 3: 0.7}})
    expected = query(str(tmp_path)).to_pylist()
    path = tmp_path / "candidates" / f"{NIGHT}.parquet"
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:100])
    elif damage == "flipped":
        path.write_bytes(data[:40] + bytes(byte ^ 255 for byte in data[40:60]) + data[60:])
    elif damage == "old":
        finished(str(tmp_path), {"a": {1: 0.6, 2: 0.8, 3: 0.7}, "b": {4: 0.9}})
        path.write_bytes(data)
        expected = visible_candidates(str(tmp_path)).to_pylist()
    else:
        path.unlink()
    assert query(str(tmp_path)).to_pylist() == expected
