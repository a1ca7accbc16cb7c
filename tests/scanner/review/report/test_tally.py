"""Counts of all rows against SQL over the same catalogue."""

from itertools import pairwise

import numpy as np
import pytest

from scanner.catalogue.query import query
from scanner.catalogue.visible import selected_plans
from scanner.review.report.tally import BIN_EDGES_DEX, Tally, tally_of
from tests.scanner.catalogue_parts import NIGHT, finished, random_scores, scores

OTHER_NIGHT = "2026-11-25"
CUTS = (0.1, 0.55, 0.9)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a catalogue: a night whose newer plan hides tile b, and object 1 of tile a; and another night."""
    root = str(tmp_path_factory.mktemp("tally") / "catalogue")
    finished(root, {"a": {1: 0.9, 2: 0.1, 3: None}, "b": {4: 0.7, 5: 0.2}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.catalogue.plan.code_version", lambda: "9.9")
        finished(root, {"b": {4: 0.55, 5: None}, "c": {1: 0.3, 6: 0.95}})
    finished(root, {"a": {1: 0.9, 7: 1e-12}}, night=OTHER_NIGHT, changes={"ra": [None, 1.0]})
    return root


@pytest.mark.parametrize(("options", "where"), [({}, "true"), ({"night": NIGHT}, f"night = '{NIGHT}'")])
def test_rows_are_those_of_the_view_of_scores(root, options, where):
    tally = tally_of(root, selected_plans(root, **options), CUTS)
    rows = query(root, sql=f"select status, p_lens, ra from scores where {where}").to_pylist()  # noqa: S608
    statuses = [row["status"] for row in rows]
    assert dict(tally.statuses) == {status: statuses.count(status) for status in set(statuses)}
    assert (tally.n_rows, tally.n_scored) == (len(rows), statuses.count("scored"))
    p_lens = [row["p_lens"] for row in rows if row["p_lens"] is not None]
    assert tally.n_at_cuts == {cut: sum(p >= np.float32(cut) for p in p_lens) for cut in CUTS}
    assert tally.n_without_position == sum(row["ra"] is None for row in rows)
    assert tally.scores.sum() == len(p_lens)
    assert tally.details == {"rejected:blank": "VIS: all zero"}


def test_bins_hold_the_odds_that_they_name(rng):
    p = rng.random(3000)
    table = scores(range(3000), p.tolist())
    tally = Tally()
    tally.add(table)
    dex = np.log10(p / (1 - p))
    expected = [((low <= dex) & (dex < high)).sum() for low, high in pairwise(BIN_EDGES_DEX)]
    assert tally.scores.tolist() == expected
    ends = Tally()
    ends.add(scores(range(4), [0.0, 1e-30, 1.0, 1 - 2**-24]))
    assert (ends.scores[0], ends.scores.sum()) == (2, 4)
    assert ends.scores[-4:].sum() == 2


def test_the_area_counts_rows_that_were_looked_at():
    """A rejected row was looked at, a skipped one was not."""
    status = ["scored", "rejected:blank", "skipped:selection"]
    table = scores(range(3), [0.5, None, None], status=status, ra=[10.0, 20.0, 30.0], dec=[0.0] * 3)
    tally = Tally()
    tally.add(table)
    ra, _ = tally.coverage.cells().centres()
    cells = tally.coverage.cells()
    assert dict(zip(np.round(ra).tolist(), cells.is_scored.tolist(), strict=True)) == {10: True, 20: False}


def test_random_units_add_up(rng):
    tables = [random_scores(rng, range(i, i + 50)) for i in (0, 50)]
    tally = Tally((0.25,))
    for table in tables:
        tally.add(table)
    p_lens = [p for table in tables for p in table["p_lens"].to_pylist() if p is not None]
    assert (tally.n_scored, tally.n_at_cuts[0.25]) == (len(p_lens), sum(p >= 0.25 for p in p_lens))
