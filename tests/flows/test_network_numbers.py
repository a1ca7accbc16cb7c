"""Every place that shows the number of a network shows the same one, for simulated objects and for real ones at hand."""

import numpy as np
import pytest

import lensscan
from flows.commands.explain import explain_to_file
from infra.progress import no_progress
from scanner.catalogue.wanted import Wanted
from scanner.explain.occlusion import MASKS, Masks
from scanner.networks.locate import SHIPPED_DIR
from scanner.review.report.report import make_report
from scanner.scan.chosen_objects import read_objects
from scanner.scan.request import ScanRequest
from scanner.sources.shards import encode_shard, shard_table
from scanner.vocabulary.geometry import MER_10
from scanner.vocabulary.network_columns import network_column_name
from scanner.vocabulary.probability_text import probability_text
from scanner.workers.run import scan_night
from tests.shared import EUCLID_FIELDS, REAL

NETWORKS = ("equivariant-sky", "compact-sky", "equivariant-centre")


def test_score_explain_catalogue_and_report_agree(tmp_path, monkeypatch):
    stamps = lensscan.simulate(16, seed=5).images
    if REAL.exists():
        real = read_objects([str(path) for path in sorted(REAL.glob(EUCLID_FIELDS))], [], MER_10, 4).stamps
        stamps = {band: np.concatenate([images, real[band]]) for band, images in stamps.items()}
    n = len(stamps["VIS"])
    # A few large masks: only the numbers are looked at.
    monkeypatch.setattr("scanner.explain.explanation.MASKS", dict.fromkeys(MASKS, Masks(50, 50)))
    finder = lensscan.load("mer3-cascade")
    scores = finder.score(stamps)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "shard-00000.parquet").write_bytes(encode_shard(shard_table(np.arange(n), stamps, {}, MER_10)))
    catalogue = str(tmp_path / "catalogue")
    request = ScanRequest(
        input_uri=str(tmp_path / "shards"), package=SHIPPED_DIR / "mer3-cascade", engine="torch", exact=True, maps_per_unit=0
    )
    scan_night(request, catalogue)
    scanned = {int(row["object_id"]): row for row in lensscan.open_catalogue(catalogue).scores()}
    explained = explain_to_file(
        str(tmp_path / "shards"), tmp_path / "why.png", [str(i) for i in range(n)], "mer3-cascade", None, no_progress
    )["objects"]
    n_compared = 0
    for i in range(n):
        assert probability_text(scanned[i]["p_lens"]) == probability_text(scores.p_lens[i])
        assert probability_text(explained[str(i)]["p_lens"]) == probability_text(scores.p_lens[i])
        for name in ("light", *NETWORKS):
            column, p = network_column_name(name), float(scores.p_networks[name][i])
            if np.isnan(p):
                assert scanned[i][column] is None
                continue
            assert scanned[i][column] == pytest.approx(p, rel=1e-4)
            if name != "light":
                assert explained[str(i)]["networks"][name]["p_lens"] == pytest.approx(p, rel=1e-4)
            n_compared += 1
        # The network that alone excluded an object gave its p_lens.
        seen = [float(scores.p_networks[name][i]) for name in ("compact-sky", "light") if scanned[i][network_column_name(name)]]
        if scanned[i]["stage"] == 1:
            assert seen[0] == scores.p_lens[i]
    assert n_compared > 2 * n
    # The report has no number of a network.
    shown = {card.object_id: card.p_lens for card in make_report(catalogue, Wanted(), n, None).cards}
    assert shown == {str(i): probability_text(scores.p_lens[i], 4) for i in np.flatnonzero(scores.is_candidate)}
    # The catalogue itself names the files of its objects.
    first = lensscan.open_catalogue(catalogue).candidates()[0]
    read = read_objects(catalogue, [first["candidate_id"], "3"], MER_10, 2)
    assert read.ids == [first["candidate_id"], "3"]
    np.testing.assert_array_equal(read.stamps["H"], stamps["H"][[first["object_id"], 3]])
