"""Check the stamps that are kept while a unit is scored, and the maps made from them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from scanner.catalogue.map_columns import EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.maps import check_maps
from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.catalogue.plan import ScanConfig
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import load_package
from scanner.scan.batch_reader import BatchReader
from scanner.scan.best_candidates import BestCandidates
from scanner.scan.scoring import CutoutScanner, open_scanner
from scanner.scan.sweep import Sweep, synthetic_stamps
from scanner.sources.batches import batches_of
from scanner.sources.cutouts import Cutout
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.rejections import RejectCode, Rejection
from tests.scanner.scanned import score_rows

FLAGSHIP = SHIPPED_DIR / "mer3-sim"

PROBABILITIES = st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.50001, 0.9, 1.0]), max_size=30)


@given(PROBABILITIES, st.integers(1, 8), st.integers(1, 7), st.randoms())
def test_the_best_are_kept_whatever_the_batches(p_lens, most, batch_size, random):
    p = np.array(p_lens, np.float32)
    order = list(range(len(p)))
    random.shuffle(order)
    best = BestCandidates(0.5, most)
    for start in range(0, len(order), batch_size):
        places = np.array(order[start : start + batch_size])
        best.offer(places, p[places], {"VIS": places.astype(np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)})
    places, stamps = best.ranked()
    expected = sorted((place for place in order if p[place] >= 0.5), key=lambda place: (-p[place], place))[:most]
    assert places.tolist() == expected
    assert [image[0, 0] for image in stamps.get("VIS", [])] == expected


def rows_of(n):
    stamps = synthetic_stamps(MER_10, n)
    rows = [Cutout({band: images[i] for band, images in stamps.items()}) for i in range(n)]
    return [Rejection(RejectCode.BLANK, "VIS: every pixel is 0"), *rows]


@pytest.fixture(scope="module")
def exact():
    """Rows, a config and a scanner whose threshold a quarter of the rows reach, and their table, scored eight at a time."""
    rows = rows_of(24)
    p_lens = load_package(FLAGSHIP).score(synthetic_stamps(MER_10, 24)).p_lens
    config = ScanConfig(
        engine="torch", sweep=False, candidate_threshold=float(np.sort(p_lens)[-7:-5].mean()), maps_per_unit=5, batch_size=8
    )
    scanner = open_scanner(FLAGSHIP, config, 1)
    return rows, config, scanner, score_rows(scanner, rows)


def test_the_best_candidates_have_maps_and_unchanged_scores(exact):
    rows, config, _, table = exact
    check_maps(table, config)
    plain = score_rows(open_scanner(FLAGSHIP, config.model_copy(update={"maps_per_unit": 0}), 1), rows)
    assert table.select(plain.column_names).equals(plain)
    assert table["map_guided"].is_valid().to_pylist().count(True) == 5


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_maps_do_not_depend_on_the_batches(exact, batch_size):
    rows, _, scanner, table = exact
    names = [column.name for column in (*PHOTOMETRY_COLUMNS, *EXPLANATION_COLUMNS, *MAP_COLUMNS)]
    # The scores of the torch engine may differ in the last digits.
    assert score_rows(scanner.with_batch_size(batch_size), rows).select(names).equals(table.select(names))


def test_maps_are_the_same_with_and_without_sweep(exact):
    """The fast ensemble has a small error."""
    rows, config, scanner, table = exact
    sweep = Sweep(ABitOff(load_package(FLAGSHIP)), "bfloat16", config.candidate_threshold, margin=0.4)
    swept = score_rows(CutoutScanner(scanner._ensemble, 8, sweep, scanner._mapping), rows)
    has_map = table["map_guided"].is_valid()
    assert "bfloat16" in swept["precision"].to_pylist()
    assert swept.filter(has_map).equals(table.filter(has_map))
    assert swept["map_guided"].is_valid().equals(has_map)


def test_candidates_of_a_sweep_have_magnitudes(exact):
    """The zero points of the mosaics stay with rows that are scored again, gathered from several batches."""
    rows, config, scanner, _ = exact
    zero_points = {"VIS": 24.0, "Y": 29.0, "J": 29.5, "H": 30.0}

    def batches():
        return (replace(batch, zero_points_ab_mag=zero_points) for batch in batches_of(rows, MER_10, 8))

    sweep = Sweep(ABitOff(load_package(FLAGSHIP)), "bfloat16", config.candidate_threshold, margin=0.4)
    scanners = [CutoutScanner(scanner._ensemble, 8, of, scanner._mapping) for of in (None, sweep)]
    whole, swept = (of.score_batches(BatchReader(batches, n_ahead=0)) for of in scanners)
    is_candidate = np.nan_to_num(whole["p_lens"].to_numpy()) >= config.candidate_threshold
    assert whole["mag_vis_1arcsec"].is_valid().to_pylist() == is_candidate.tolist()
    names = [column.name for column in PHOTOMETRY_COLUMNS]
    assert swept.select(names).equals(whole.select(names))


class ABitOff:
    def __init__(self, ensemble):
        self._ensemble = ensemble
        self.geometry, self.network_names = ensemble.geometry, ensemble.network_names

    def score(self, stamps):
        scores = self._ensemble.score(stamps)
        return replace(scores, p_lens=expit(logit(scores.p_lens.astype(float)) - 0.1).astype(np.float32))


def test_a_unit_that_is_refused_has_the_columns_too(exact):
    _, _, scanner, table = exact
    refused = scanner.explained(scanner.refused(3, Rejection(RejectCode.SHARD_DAMAGED, "page 2")))
    assert refused.schema.equals(table.schema)
    assert refused["map_guided"].null_count == 3
