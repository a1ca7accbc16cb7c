"""A plan of an unchanged input is not made again, and every change makes a new one; the requests are counted."""

import json
import os
from pathlib import Path

import pytest

from infra.provenance import sha256_bytes
from infra.store.storage import create_if_absent, join, list_files
from scanner.catalogue.known_plan import input_digest, known_plan, left_out_by_plan
from scanner.catalogue.paths import plan_uri, planned_input_uri
from scanner.catalogue.plan import ScanConfig, build_plan, encode_plan, freeze, load_plan
from scanner.catalogue.selection import Selection
from scanner.catalogue.units import LeftOutReason
from scanner.sources.survey import EUCLID_MER
from scanner.sources.tiles import find_tiles
from tests.faults.harness.s3_proxy import Rule, Status, s3_proxy
from tests.scanner.catalogue_parts import NIGHT, EnsembleName
from tests.tiles import write_tile, write_tiles

N_TILES = 4
CATALOGUE = r"FINAL-CAT"


@pytest.fixture
def tiles(tmp_path):
    write_tiles(tmp_path / "tiles", N_TILES, 2)
    return tmp_path / "tiles"


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def planned(tiles, root, selection=None, ensemble=None, **config):
    """Plan and freeze as a scan does."""
    options = [selection] if selection else []
    plan = build_plan(str(tiles), NIGHT, ensemble or EnsembleName(), ScanConfig(**config), *options, root_uri=root)
    freeze(plan, root)
    return plan


@pytest.mark.server
def test_requests_for_each_tile_are_few(tiles, s3, s3_variables, monkeypatch):
    """A new plan asks for the content of each catalogue, and for nothing else of a tile; a known one only lists."""
    for path in tiles.iterdir():
        create_if_absent(join(s3, "tiles", path.name), path.read_bytes(), "test")
    with s3_proxy(s3_variables["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        plan = planned(f"{s3}/tiles", f"{s3}/catalogue")
        assert (proxy.count("HEAD", CATALOGUE), proxy.count("GET", CATALOGUE)) == (0, N_TILES)
        assert proxy.count(key="MOSAIC") == 0
        # The tiles, and the records of planned inputs.
        assert proxy.count("GET", "list-type=2") == 2
        # A catalogue that is read again would fail.
        proxy.set_rules(Rule(Status(403), key=CATALOGUE))
        again = planned(f"{s3}/tiles", f"{s3}/catalogue")
        assert again == plan
        assert len(proxy.log) <= 12


def test_a_record_of_another_plan_is_not_used(tiles, root):
    """A record names in turn the plan of another night, ensemble, code, survey or scan, and of other or fewer tiles."""
    others = tiles.parent / "others"
    write_tiles(others, N_TILES, 3)
    plan = planned(tiles, root)
    wrong = [build_plan(str(tiles), "2026-01-02", EnsembleName(), ScanConfig())]
    changes = [{"ensemble_name": "other"}, {"ensemble_sha256": "d" * 64}, {"code_version": "0" * 64}]
    changes.append({"survey": EUCLID_MER.model_copy(update={"name": "other"})})
    changed = [plan.model_copy(update={**change, "input_digest": None}) for change in changes]
    wrong += [other.model_copy(update={"plan_id": sha256_bytes(encode_plan(other))}) for other in changed]
    wrong.append(build_plan(str(tiles), NIGHT, EnsembleName(), ScanConfig(candidate_threshold=0.25)))
    wrong.append(build_plan(str(others), NIGHT, EnsembleName(), ScanConfig()))
    wrong.append(build_plan(str(tiles), NIGHT, EnsembleName(), ScanConfig(), Selection(tiles=("000000001", "000000002"))))
    record = Path(planned_input_uri(root, plan.input_digest))
    for other in wrong:
        assert other.plan_id != plan.plan_id
        freeze(other, root)
        record.write_text(json.dumps({"plan_id": other.plan_id, "left_out": []}), encoding="utf-8")
        assert build_plan(str(tiles), NIGHT, EnsembleName(), ScanConfig(), root_uri=root) == plan


def test_a_known_plan_keeps_what_it_left_out(tiles, root):
    next(tiles.glob("*FINAL-CAT*TILE000000002*")).write_bytes(b"no table")
    first, again = planned(tiles, root), planned(tiles, root)
    assert (
        again
        == first
        == load_plan(root, first.plan_id).model_copy(update={"left_out": first.left_out, "input_digest": first.input_digest})
    )
    assert [tile.reason for tile in again.left_out] == [LeftOutReason.UNREADABLE_CATALOGUE]
    assert len(list_files(f"{root}/_scan/inputs")) == 1


def test_the_newest_scan_tells_what_a_plan_left_out(tiles, root):
    """A tile is broken, then gone, then broken again: each time the same tiles are planned."""
    next(tiles.glob("*FINAL-CAT*TILE000000002*")).write_bytes(b"no table")
    aside = tiles.parent / "aside"
    aside.mkdir()
    moved = [path.rename(aside / path.name) for path in tiles.glob("*TILE000000002*")]
    links = [tiles / path.name for path in moved]

    def broken():
        # A file that is written again is another version; a link to the same file is not.
        for link, path in zip(links, moved, strict=True):
            link.symlink_to(path)
        return planned(tiles, root)

    first = broken()
    for link in links:
        link.unlink()
    without = planned(tiles, root)
    assert (without.plan_id, without.left_out) == (first.plan_id, ())
    assert left_out_by_plan(root) == {first.plan_id: ()}
    again = broken()
    assert again.input_digest == first.input_digest != without.input_digest
    assert left_out_by_plan(root) == {first.plan_id: first.left_out}
    before = list_files(root)
    planned(tiles, root)
    assert list_files(root) == before


def test_every_change_makes_a_new_plan(tiles, root):
    plans = {planned(tiles, root).plan_id}
    plans.add(planned(tiles, root, candidate_threshold=0.25).plan_id)
    plans.add(planned(tiles, root, ensemble=EnsembleName("other", "d" * 64)).plan_id)
    plans.add(planned(tiles, root, Selection(tiles=("000000001",))).plan_id)
    write_tile(tiles, 2, 3, seed=1)
    plans.add(planned(tiles, root).plan_id)
    write_tile(tiles, N_TILES + 1, 2)
    plans.add(planned(tiles, root).plan_id)
    mosaic = next(tiles.glob("*MOSAIC-VIS*TILE000000001*"))
    os.utime(mosaic, (1, 1))
    plans.add(planned(tiles, root).plan_id)
    assert len(plans) == len(list_files(f"{root}/_scan/inputs")) == 7


def test_an_area_or_targets_are_planned_anew(tiles):
    listed = find_tiles(str(tiles))
    assert input_digest(listed, Selection()) is not None
    assert input_digest(listed, Selection(moc_uri="area.fits")) is None
    assert input_digest(listed, Selection(targets_uri="list.csv")) is None


@pytest.mark.parametrize("harm", ["no plan", "edited plan", "damaged record"])
def test_a_damaged_record_or_plan_is_made_again(tiles, root, harm):
    plan = planned(tiles, root)
    stored, record = Path(plan_uri(root, plan.plan_id)), Path(planned_input_uri(root, plan.input_digest))
    if harm == "no plan":
        stored.unlink()
    elif harm == "edited plan":
        stored.write_bytes(stored.read_bytes().replace(b'"threshold"', b'"treshold"') + b" ")
    else:
        record.write_bytes(b"{}")
        assert known_plan(root, plan.input_digest) is None
    again = build_plan(str(tiles), NIGHT, EnsembleName(), ScanConfig(), root_uri=root)
    assert again == plan
