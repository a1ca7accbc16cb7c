"""A scan with a reference: embeddings of what the committee scores, and everything else as without one."""

import numpy as np
import pytest

from scanner.catalogue.columns import EMBEDDING_COLUMNS, unit_schema
from scanner.catalogue.embeddings import check_embeddings, embedding_array
from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import ScanConfig
from scanner.catalogue.query import query
from scanner.catalogue.seal import seal
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.feature_reference import read_reference
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_scorer
from scanner.scan.request import ScanRequest, plan_scan
from scanner.scan.scoring import open_scanner
from scanner.scan.sweep import synthetic_stamps
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.cascades import write_cascade
from tests.scanner.feature_references import drawn_reference, give_reference
from tests.scanner.scanned import scanned, score_rows
from tests.tiles import write_tile

SHIPPED = SHIPPED_DIR / "mer3-cascade"
N = 26
NAMES = [column.name for column in EMBEDDING_COLUMNS]


@pytest.fixture(scope="module")
def rows():
    stamps = synthetic_stamps(MER_10, N)
    cutouts = [Cutout({band: images[i] for band, images in stamps.items()}) for i in range(N)]
    return [Rejection(RejectCode.BLANK, "VIS: every pixel is 0"), *cutouts]


@pytest.fixture(scope="module")
def config():
    """Return settings under which the committee sees about half of the rows."""
    p_first = load_scorer(SHIPPED, "torch").score(synthetic_stamps(MER_10, N)).p_first
    limit = float(np.median(p_first))
    sha256 = read_card(SHIPPED).reference_sha256
    return ScanConfig(engine="torch", sweep=False, candidate_threshold=min(limit, 2e-5), batch_size=8, reference_sha256=sha256)


def test_all_other_columns_are_those_without_a_reference(rows, config):
    table = score_rows(open_scanner(SHIPPED, config, 1), rows)
    plain = score_rows(open_scanner(SHIPPED, config.model_copy(update={"reference_sha256": None}), 1), rows)
    assert table.drop_columns(NAMES).equals(plain)
    check_embeddings(table, config)
    stage = table["stage"].to_numpy()
    assert table["embedding"].is_valid().to_pylist() == (stage == 2).tolist()
    assert 0 < (stage == 2).sum() < N


def test_embeddings_are_those_of_the_committee(rows, config):
    table = score_rows(open_scanner(SHIPPED, config, 1), rows)
    seen = table.filter(table["embedding"].is_valid())
    reference = read_reference(SHIPPED, read_card(SHIPPED))
    numbers = np.flatnonzero(table["embedding"].is_valid().to_numpy()) - 1
    scorer = load_scorer(SHIPPED, "torch", features=True)
    stamps = {band: images[numbers] for band, images in synthetic_stamps(MER_10, N).items()}
    expected = reference.embeddings(scorer.committee.score(stamps).features)
    found = embedding_array(seen)
    # The torch engine may differ in the last digits, and rounding then by a step.
    np.testing.assert_allclose(found, expected, atol=1 / 64)
    assert np.array_equal(seen["anomaly"].to_numpy(), reference.anomalies(found))
    assert np.ptp(found, axis=0).min() > 0.1


@pytest.mark.parametrize("sweep", [False, True])
def test_openvino_gives_the_same_bits_in_any_batch(rows, config, sweep):
    scanner = open_scanner(SHIPPED, config.model_copy(update={"engine": "openvino", "sweep": sweep}), 1)
    table = score_rows(scanner, rows)
    for size in (1, 7):
        other = score_rows(scanner.with_batch_size(size), rows)
        assert other.select(["p_lens", *NAMES]).equals(table.select(["p_lens", *NAMES]))


def test_an_ensemble_without_stages_embeds_every_scored_row(rows, tmp_path):
    from shutil import copytree

    copytree(SHIPPED_DIR / "mer3-sim", tmp_path / "pack")
    card = give_reference(tmp_path / "pack", drawn_reference(16 + 16 + 64))
    config = ScanConfig(engine="torch", sweep=False, reference_sha256=card.reference_sha256)
    table = score_rows(open_scanner(tmp_path / "pack", config, 1), rows[:9])
    assert table["embedding"].is_valid().to_pylist() == [False, *[True] * 8]
    assert table.schema.equals(table.schema)
    refused = open_scanner(tmp_path / "pack", config, 1).refused(2, Rejection(RejectCode.SHARD_DAMAGED, "page 2"))
    assert refused.table.schema.equals(table.schema)


def test_a_tile_is_scanned_published_and_queried(tmp_path):
    write_tile(tmp_path / "tiles", 3, n_objects=6)
    plan = plan_scan(
        ScanRequest(
            input_uri=str(tmp_path / "tiles"), package=SHIPPED, candidate_threshold=0.0, engine="torch", maps_per_unit=0
        )
    )
    assert plan.config.reference_sha256 == read_card(SHIPPED).reference_sha256
    (unit,) = plan.units
    table = scanned(unit, open_scanner(SHIPPED, plan.config, 1), "")
    assert table.schema.equals(unit_schema(read_names(SHIPPED), embeddings=True))
    root = str(tmp_path / "root")
    publish(table, unit, plan, root, "try")
    assert seal(plan, root).n_candidates == 6
    show(plan, root)
    assert query(root)["anomaly"].null_count == 0


def read_names(package):
    return [network.name for network in read_card(package).lens_networks]


def test_another_reference_than_the_plan_names_is_refused(tmp_path):
    write_cascade(tmp_path / "pack")
    give_reference(tmp_path / "pack", drawn_reference(16 + 64))
    config = ScanConfig(engine="torch", reference_sha256="b" * 64)
    with pytest.raises(PackageError, match="the plan needs the reference bbbbbbbbbbbb, got"):
        open_scanner(tmp_path / "pack", config, 1)


def test_a_package_without_a_reference_plans_no_embeddings(tmp_path):
    write_tile(tmp_path / "tiles", 3, n_objects=2)
    write_cascade(tmp_path / "pack")
    plan = plan_scan(ScanRequest(input_uri=str(tmp_path / "tiles"), package=tmp_path / "pack", engine="torch"))
    assert plan.config.reference_sha256 is None
    assert "reference_sha256" not in plan.model_dump_json()
