"""Copy the non-lenses that an ensemble takes for lenses, so that its networks can be trained on them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.frozen import Frozen
from infra.progress import Progress
from infra.store.files import CreateOutcome
from infra.store.storage import absolute, create_if_absent, join, list_files, read_bytes
from scanner.networks.cascade import Scorer
from scanner.sources.shard_batches import shard_batches
from scanner.sources.shards import Shard, encode_shard
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.evaluation.known_shards import decoded, read_kinds
from training.evaluation.shard_scores import shard_footers

_BATCH = 64


class FalsePositives(Frozen):
    """Numbers of objects that were read and copied."""

    n_nonlenses: int
    above: float
    """Smallest `p_lens` of an object that is copied."""
    n_copied: int
    folder: str
    """Folder of the copies; without any it is not made."""


def copy_false_positives(ensemble: Scorer, shards_uri: str, out_uri: str, above: float, progress: Progress) -> FalsePositives:
    """Write the non-lenses with `p_lens` of at least `above` to shards of the same names and folders.

    A `p_lens` before the correction by a candidate network counts too: such a network looks at these objects.
    Files that an earlier try of the same call wrote are kept.

    Args:
        ensemble: Ensemble or cascade.
        shards_uri: Folder or `s3://` prefix of shards with truth.
        out_uri: Another folder or prefix, for the copies alone.
        above: Smallest `p_lens` of a non-lens that is copied, corrected or not.
        progress: Called with (objects scored, objects in all).

    Raises:
        TrainingError: there are no shards, a file is not a shard with truth, `out_uri` lies in `shards_uri`, or it holds shards
            that this call does not write, such as those for another `above`.
    """
    root = join(absolute(shards_uri), "")
    if join(absolute(out_uri), "").startswith(root):
        raise TrainingError(f"{out_uri}: the copies need a folder outside of {shards_uri}")
    footers = shard_footers(shards_uri)
    copies = {uri: join(absolute(out_uri), uri.removeprefix(root)) for uri in footers}
    existing = {file.uri for file in list_files(out_uri, ".parquet")}
    if strays := existing - set(copies.values()):
        raise _of_another_call(min(strays))
    # Read before the pixels, because scoring takes long.
    is_nonlens = {uri: read_kinds([uri]) == KINDS.index("nonlens") for uri in footers}
    n_objects, n_done, n_nonlenses, n_copied = sum(footer.num_rows for footer in footers.values()), 0, 0, 0
    for uri, footer in footers.items():
        content = read_bytes(uri)
        chosen = _deceives(decoded(uri, content), np.flatnonzero(is_nonlens[uri]), ensemble, above)
        if chosen.any():
            table = pq.read_table(pa.BufferReader(content)).filter(pa.array(chosen))
            if create_if_absent(copies[uri], encode_shard(table), "false-positives") is CreateOutcome.EXISTS:
                raise _of_another_call(copies[uri])
        elif copies[uri] in existing:
            raise _of_another_call(copies[uri])
        n_nonlenses += int(is_nonlens[uri].sum())
        n_copied += int(chosen.sum())
        n_done += footer.num_rows
        progress(n_done, n_objects)
    return FalsePositives(n_nonlenses=n_nonlenses, above=above, n_copied=n_copied, folder=out_uri)


def _deceives(shard: Shard, rows: NDArray[np.int64], ensemble: Scorer, above: float) -> NDArray[np.bool_]:
    """Return a mask `[object]` of a shard: which of some rows have at least `above`, corrected or not."""
    chosen = np.zeros(len(shard.object_ids), bool)
    for batch in shard_batches(shard, rows, ensemble.geometry, _BATCH):
        if len(batch.rows):
            scores = ensemble.score(batch.stamps)
            chosen[rows[batch.rows]] = np.maximum(scores.p_lens, scores.p_uncorrected) >= above
    return chosen


def _of_another_call(uri: str) -> TrainingError:
    return TrainingError(
        f"{uri}: holds other objects than this call copies (those of another ensemble, threshold or set of shards); "
        "copy into an empty folder"
    )
