"""Objects that lack bands are scored by the networks that read the others, and say so."""

import numpy as np
import pytest

from infra.progress import no_progress
from infra.store.files import StorageError
from scanner.networks.architectures import NetworkSpec
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package
from scanner.preprocess.channel import channels
from scanner.scan.row_groups import MissingBands, RowGroup, score_groups
from scanner.scan.scoring import CutoutScanner
from scanner.sources.batches import batches_of
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.network_columns import network_column_name
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.ensembles import write_test_package
from tests.scanner.mean_ensemble import CUTOUTS, MeanEnsemble, expected

VIS_ALONE = "scored without Y, J, H by OU-VIS alone: less reliable, not calibrated"


@pytest.fixture(scope="module")
def ensemble():
    return load_package(SHIPPED_DIR / "ou7-sim")


def group(numbers, *rows, bands="VIS,Y,J,H"):
    return RowGroup(numbers, frozenset(bands.split(",")), lambda geometry, size: batches_of(rows, geometry, size))


def test_groups_are_put_together_in_the_order_of_rows():
    calls = []
    groups = [group([3, 0], CUTOUTS[3], CUTOUTS[0]), group([1], Rejection(RejectCode.BLANK, "x")), group([2], CUTOUTS[2])]
    table = score_groups(groups, CutoutScanner(MeanEnsemble(), 1), lambda *call: calls.append(call))
    p_lens = table["p_lens"].to_pylist()
    assert [p_lens[row] for row in (0, 2, 3)] == pytest.approx([expected(CUTOUTS[row])["p_lens"] for row in (0, 2, 3)])
    assert p_lens[1] is None
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_damage_rejects_its_group_only():
    def begin(geometry, size):
        yield from batches_of(CUTOUTS[:1], geometry, size)
        raise Rejection(RejectCode.FITS_TRUNCATED, "cut")

    damaged = RowGroup([0, 1], frozenset({"VIS", "Y", "J", "H"}), begin)
    table = score_groups([damaged, group([2], CUTOUTS[2])], CutoutScanner(MeanEnsemble(), 1), no_progress)
    assert table["status"].to_pylist() == ["rejected:fits_truncated"] * 2 + ["scored"]


def test_a_store_that_fails_ends_the_scoring():
    def begin(geometry, size):
        yield from batches_of(CUTOUTS[:1], geometry, size)
        raise Rejection(RejectCode.IO_ERROR, "VIS: a.fits: timed out")

    away = RowGroup([0, 1], frozenset({"VIS", "Y", "J", "H"}), begin)
    with pytest.raises(StorageError, match=r"^VIS: a\.fits: timed out$"):
        score_groups([away], CutoutScanner(MeanEnsemble(), 1), no_progress)
    # Rows that name files of their own are rejected one by one.
    of_rows = group([0, 1], Rejection(RejectCode.IO_ERROR, "VIS: b.fits: timed out"), CUTOUTS[1])
    table = score_groups([of_rows], CutoutScanner(MeanEnsemble(), 1), no_progress)
    assert table["status"].to_pylist() == ["rejected:io_error", "scored"]


def test_bands_that_no_network_reads_are_not_missed(tmp_path):
    specs = [
        NetworkSpec(name, "compact", channels(scaling, "VIS")) for name, scaling in (("a", "sky_asinh"), ("b", "centre_asinh"))
    ]
    write_test_package(tmp_path / "pack", specs, geometry="mer10", assumed_prevalence=0.004)
    ensemble = load_package(tmp_path / "pack")
    rng = np.random.default_rng(4)
    stamps = {band: rng.exponential(size=(100, 100)).astype(np.float32) for band in MER_10.grids}
    groups = [group([0], Cutout(stamps)), group([1], Cutout(stamps), bands="VIS,Y")]
    whole, part = score_groups(groups, CutoutScanner(ensemble, 4), no_progress, MissingBands(ensemble, 4)).to_pylist()
    assert part == whole
    assert (part["status"], part["detail"]) == ("scored", "")


def test_an_object_in_vis_alone_is_scored(ensemble):
    whole = CUTOUTS[1]
    groups = [group([0], CUTOUTS[0]), group([1], whole, bands="VIS"), group([2], CUTOUTS[2], bands="VIS,Y")]
    table = score_groups(groups, CutoutScanner(ensemble, 4), no_progress, MissingBands(ensemble, 4))
    full, vis, two = table.to_pylist()
    assert full["p_compound"] is not None
    assert (vis["status"], vis["detail"], vis["subclass"], vis["precision"]) == ("scored", VIS_ALONE, "", "float32")
    have = {name for name in ensemble.network_names if vis[network_column_name(name)] is not None}
    assert have == {"OU-VIS"}
    assert vis["p_lens"] is not None
    assert vis["p_compound"] is vis["disagreement"] is None
    assert two["detail"] == "scored without J, H by OU-Y, OU-VIS alone: less reliable, not calibrated"
    assert two["disagreement"] is not None
    alone = ensemble.score({band: stamp[np.newaxis] for band, stamp in whole.stamps.items()})
    assert vis[network_column_name("OU-VIS")] == pytest.approx(float(alone.p_networks["OU-VIS"][0]), rel=1e-5)


def test_a_rejected_object_names_who_can_score_it():
    flagship = load_package(SHIPPED_DIR / "mer3-sim")
    cards = [read_card(SHIPPED_DIR / name) for name in ("mer3-sim", "ou7-sim")]
    missing = Rejection(RejectCode.MISSING_BAND, "Y: no image is named")
    blank = Rejection(RejectCode.BLANK, "VIS: every pixel is 0")
    groups = [group([0, 1], missing, blank, bands="VIS")]
    table = score_groups(groups, CutoutScanner(flagship), no_progress, MissingBands(flagship, 4, cards))
    assert table["detail"].to_pylist() == [
        "Y: no image is named; ou7-sim has networks that read VIS alone (--ensemble ou7-sim)",
        "VIS: every pixel is 0",
    ]
    table = score_groups(groups, CutoutScanner(flagship), no_progress, MissingBands(flagship, 4, cards[:1]))
    assert table["detail"][0].as_py() == "Y: no image is named"
