"""Compare the scores in a catalogue with those of the paper's loop on the same stamps."""

from collections.abc import Mapping
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from scanner.catalogue.ledger import publish
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import ScanConfig, make_plan
from scanner.catalogue.units import Unit
from scanner.networks.card_file import read_card
from scanner.scan.scoring import open_scanner
from scanner.vocabulary.network_columns import network_column_name
from tests.benchmarks.nights import Night
from tests.benchmarks.sizes import CORES, NIGHT
from tests.scanner.scanned import scanned


def differences(night: Night, theirs: Mapping[str, NDArray], *, has_sweep: bool) -> dict[str, float]:
    """Return the largest difference of a recorded score of the first shard from the loop's, in float32 and in the sweep.

    The shard's ids are row numbers in the night's stamps; `theirs` maps network to the scores of the first rows, `[row]`.
    """
    unit = night.units["shards"][0]
    exact = _catalogue(night, night.config.model_copy(update={"sweep": False}), unit)
    found = {"paper_loop_largest_difference": largest_difference(exact, theirs, "float32")}
    if has_sweep:
        swept = _catalogue(night, night.config, unit)
        found["paper_loop_largest_difference_bfloat16"] = largest_difference(swept, theirs, "bfloat16")
    return found


def largest_difference(table: pa.Table, theirs: Mapping[str, NDArray], precision: str) -> float:
    """Return the largest difference of a score of a precision, over all networks; `object_id` is the row number in `theirs`.

    Raises:
        ValueError: no row of that precision is in `theirs`.
    """
    places = np.asarray(table["object_id"], dtype=np.int64)
    n_theirs = min(len(scores) for scores in theirs.values())
    compared = (places < n_theirs) & (np.asarray(table["precision"]) == precision)
    if not compared.any():
        raise ValueError(f"no row scored in {precision} is among the {n_theirs} rows of the loop")
    return max(
        float(np.abs(np.asarray(table[network_column_name(name)])[compared] - scores[places[compared]]).max())
        for name, scores in theirs.items()
    )


def _catalogue(night: Night, config: ScanConfig, unit: Unit) -> pa.Table:
    """Scan and publish a unit; return its rows as read from its file."""
    plan = make_plan(NIGHT.isoformat(), read_card(night.package), config, [unit])
    root = str(night.scratch / f"catalogue-{uuid4().hex}")
    table = scanned(unit, open_scanner(night.package, config, CORES), NIGHT.isoformat())
    publish(table, unit, plan, root, attempt=uuid4().hex)
    return pq.read_table(unit_uri(root, plan.plan_id, unit.unit_id))
