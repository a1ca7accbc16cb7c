"""Which scan of a night is judged and promoted, without any network."""

import errno

import pytest

from flows.commands import quality
from flows.commands.quality import chosen_plan, judge_night, promote_night
from scanner.catalogue.gate import waiting_plans
from scanner.catalogue.night_file import show
from scanner.hats.errors import PublishError
from scanner.hats.versions import versions_of
from scanner.quality.errors import QualityError
from tests.scanner.catalogue_parts import NIGHT, finished
from tests.scanner.quality.scanned import scanned, write_night

OTHER = "2026-11-25"


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def test_the_newest_waiting_scan_comes_before_what_readers_see(root):
    seen = finished(root, {"a": {1: 0.9}})
    assert chosen_plan(root, NIGHT, None) == seen
    waiting = [finished(root, {"a": {1: 0.9}, name: {2: 0.9}}, gate=True) for name in "bc"]
    assert chosen_plan(root, NIGHT, None) == chosen_plan(root, None, None) == waiting[1]
    assert chosen_plan(root, None, waiting[0].plan_id[:12]) == waiting[0]
    for plan in waiting:
        show(plan, root)
    assert chosen_plan(root, NIGHT, None) == waiting[1]


def test_a_night_must_be_named_unless_one_waits(root):
    with pytest.raises(QualityError, match="name a night with --night; no night waits"):
        chosen_plan(root, None, None)
    for night in (NIGHT, OTHER, None):
        finished(root, {"a": {1: 0.9}}, night=night, gate=True)
    with pytest.raises(QualityError, match=f"several nights wait: {NIGHT}, {OTHER}, undated"):
        chosen_plan(root, None, None)
    assert chosen_plan(root, "undated", None).night is None
    with pytest.raises(QualityError, match="no complete scan of night 2026-11-26"):
        chosen_plan(root, "2026-11-26", None)
    with pytest.raises(QualityError, match="either a plan or a night"):
        chosen_plan(root, NIGHT, "ab")


def test_a_promotion_publishes_on_the_cluster_that_is_named(root, monkeypatch):
    finished(root, {"a": {1: 0.9}}, gate=True)
    asked = []
    monkeypatch.setattr(quality, "publication", lambda *places, **how: asked.append((places, how)) or (lambda: None))
    monkeypatch.setattr(quality, "publish_after", lambda *_: "v1")
    _, version = promote_night(root, NIGHT, overrule="a test", publish_to="s3://b/c", ray_address="head:6379")
    assert (asked, version) == ([((root, "s3://b/c"), {"ray_address": "head:6379"})], "v1")


def test_a_refused_scan_is_not_chosen_after_its_replacement(root):
    finished(root, {"a": {1: 0.9}}, gate=True)
    better = finished(root, {"a": {1: 0.9, 2: 0.9}}, gate=True)
    promote_night(root, NIGHT, overrule="a test")
    assert chosen_plan(root, NIGHT, None) == better
    with pytest.raises(QualityError, match="name a night with --night; no night waits"):
        chosen_plan(root, None, None)
    # A late second promotion leaves readers with what they see.
    done, _ = promote_night(root, NIGHT)
    assert (done.plan_id, done.is_new) == (better.plan_id, False)


def test_a_collection_that_cannot_be_written_is_named(root, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    finished(root, {"a": {1: 0.9}}, gate=True)

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("scanner.hats.publish.publish", full)
    with pytest.raises(PublishError, match=r"the night is promoted, but the catalogue is not published: .*No space"):
        promote_night(root, NIGHT, overrule="a test", publish_to=str(tmp_path / "collection"))


def test_a_promoted_night_is_published(root, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    write_night(tmp_path / "tiles")
    plan = scanned(root, tmp_path / "tiles", NIGHT)
    limits = tmp_path / "limits.toml"
    limits.write_text("reject_share = 0.5\n")
    verdict = judge_night(root, NIGHT, limits=str(limits))
    assert verdict.limits["reject_share"] == 0.5
    assert verdict.is_passed
    collection = str(tmp_path / "collection")
    done, version = promote_night(root, NIGHT, by="ann", publish_to=collection)
    assert done.is_new
    assert [found.version for found in versions_of(collection)] == [version]
    assert versions_of(collection)[0].nights.keys() == {NIGHT}
    assert waiting_plans(root) == {}
    # A late second promotion publishes nothing new.
    assert promote_night(root, plan=plan.plan_id, publish_to=collection)[1] == version


def test_a_failed_publication_says_that_the_night_is_promoted(root, tmp_path, monkeypatch):
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    plan = finished(root, {"a": {1: 0.9}}, gate=True)
    collection = tmp_path / "collection"
    collection.mkdir()
    (collection / "collection.properties").write_text("no pointer")
    with pytest.raises(PublishError, match="the night is promoted, but the catalogue is not published"):
        promote_night(root, NIGHT, overrule="a test", publish_to=str(collection))
    assert chosen_plan(root, NIGHT, None) == plan
