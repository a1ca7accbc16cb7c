"""Copy the non-lenses that an ensemble takes for lenses, so that its networks can be trained on them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from infra.frozen import Frozen
from infra.progress import Progress, no_progress
from infra.store.files import CreateOutcome
from infra.store.storage import absolute, create_if_absent, join, list_files, read_bytes
from scanner.networks.cascade import Scorer
from scanner.sources.shards import encode_shard
from scanner.vocabulary.kinds import KINDS
from training.errors import TrainingError
from training.evaluation.known_shards import read_kinds
from training.evaluation.shard_scores import score_shards, shard_footers


class FalsePositives(Frozen):
    """Numbers of objects that were read and copied."""

    n_nonlenses: int
    n_copied: int
    folder: str


def copy_false_positives(ensemble: Scorer, shards_uri: str, out_uri: str, above: float, progress: Progress) -> FalsePositives:
    """Write the non-lenses with `p_lens` of at least `above` to shards of the same names and folders.

    Files that an earlier try of the same call wrote are kept.

    Args:
        ensemble: Ensemble or cascade.
        shards_uri: Folder or `s3://` prefix of shards with truth.
        out_uri: Another folder or prefix, for the copies alone.
        above: Smallest `p_lens` of a non-lens that is copied.
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
        scores, _ = score_shards({uri: footer}, ensemble, no_progress)
        chosen = is_nonlens[uri] & (np.nan_to_num(scores["p_lens"].to_numpy()) >= above)
        if chosen.any():
            table = pq.read_table(pa.BufferReader(read_bytes(uri))).filter(pa.array(chosen))
            if create_if_absent(copies[uri], encode_shard(table), "false-positives") is CreateOutcome.EXISTS:
                raise _of_another_call(copies[uri])
        elif copies[uri] in existing:
            raise _of_another_call(copies[uri])
        n_nonlenses += int(is_nonlens[uri].sum())
        n_copied += int(chosen.sum())
        n_done += footer.num_rows
        progress(n_done, n_objects)
    return FalsePositives(n_nonlenses=n_nonlenses, n_copied=n_copied, folder=out_uri)


def _of_another_call(uri: str) -> TrainingError:
    return TrainingError(
        f"{uri}: holds other objects than this call copies (those of another ensemble, threshold or set of shards); "
        "copy into an empty folder"
    )
