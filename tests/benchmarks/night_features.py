"""The objects of a simulated night as the networks describe them: features and scores are kept, and pixels are not.

Lenses are a stratum of their own, so that `more_like_this.py` can put any number of them into the night. Objects are made in
blocks, each with a file, so that a run that was killed goes on with the missing blocks. `--part 1/2` makes every second block.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.settings import Settings
from infra.store.files import replace_whole
from scanner.networks.card_file import read_card
from scanner.networks.cascade import Scorer
from scanner.networks.engines import resolve_engine
from scanner.networks.locate import find_package
from scanner.networks.package import load_scorer
from scanner.sources.shards import shard_of
from simulation.object_blocks import nonlenses
from simulation.population.draw import LENS_SHARES
from simulation.products.dataset import DatasetSpec, simulate_objects

N_NONLENSES, N_LENSES = 20_000, 120
SEEDS = {"lenses": 27_110_012, "nonlenses": 27_110_011}
"""Seeds of the data sets, which no training, no evaluation and no reference uses."""
_ROWS_PER_BLOCK = 200
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Objects:
    """Objects of one stratum."""

    features: NDArray[np.float32]
    """`[object, feature]`, NaN where the first stage excluded the object."""
    p_lens: NDArray[np.float32]
    kinds: list[str]
    sha256: str
    """Digest of the ensemble."""


def specs(geometry: str) -> dict[str, DatasetSpec]:
    """Return the data sets by name."""
    of_lenses = sum(share for _, share in LENS_SHARES)
    kinds = [(kind, share / of_lenses) for kind, share in LENS_SHARES]
    lenses = {"n": N_LENSES, "seed": SEEDS["lenses"], "kinds": kinds, "geometry": geometry}
    of_nonlenses = nonlenses(N_NONLENSES, SEEDS["nonlenses"], geometry)
    return {"lenses": DatasetSpec.model_validate(lenses), "nonlenses": of_nonlenses}


def make(package: Path, scratch: Path, part: int, n_parts: int) -> None:
    """Make the missing blocks of a part of all blocks."""
    scorer = load_scorer(package, resolve_engine(Settings.read().engine), 1, checks_pixels=False, features=True)
    for name, spec in specs(read_card(package).geometry).items():
        for number in range(part, _n_blocks(spec), n_parts):
            path = _path(scratch, name, number)
            if not path.exists():
                _write(path, _block(spec, number, scorer))
                _LOG.info("%s %d", name, number)


def read(package: Path, scratch: Path) -> dict[str, Objects]:
    """Return the objects of each data set; raise FileNotFoundError if a block is missing."""
    card = read_card(package)
    found = {}
    for name, spec in specs(card.geometry).items():
        tables = [pq.read_table(_path(scratch, name, number)) for number in range(_n_blocks(spec))]
        digests = {table.schema.metadata[b"ensemble_sha256"].decode() for table in tables}
        if digests != {card.sha256}:
            raise ValueError(f"{scratch / name}: scores of {digests}, not of {card.sha256}")
        rows = pa.concat_tables(table.replace_schema_metadata(None) for table in tables)
        flat = rows["features"].combine_chunks().flatten().to_numpy()
        features = np.asarray(flat, np.float32).reshape(rows.num_rows, -1)
        found[name] = Objects(features, rows["p_lens"].to_numpy(), rows["kind"].to_pylist(), card.sha256)
    return found


def _block(spec: DatasetSpec, number: int, scorer: Scorer) -> pa.Table:
    shard = shard_of(simulate_objects(spec, range(number * _ROWS_PER_BLOCK, min((number + 1) * _ROWS_PER_BLOCK, spec.n))))
    scores = scorer.score(shard.stamps)
    if scores.features is None:
        raise ValueError(f"block {number}: the committee saw no object")
    features = pa.FixedSizeListArray.from_arrays(pa.array(scores.features.reshape(-1)), scores.features.shape[1])
    columns = {"kind": shard.truth["kind"], "p_lens": pa.array(scores.p_lens), "features": features}
    return pa.table(columns).replace_schema_metadata({"ensemble_sha256": scorer.sha256})


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_whole(path) as part:
        pq.write_table(table, part, compression="zstd")


def _path(scratch: Path, name: str, number: int) -> Path:
    return scratch / name / f"features-{number:05d}.parquet"


def _n_blocks(spec: DatasetSpec) -> int:
    return -(-spec.n // _ROWS_PER_BLOCK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", default=Settings.read().ensemble)
    parser.add_argument("--scratch", type=Path, required=True, help="folder of the features")
    parser.add_argument("--part", default="0/1", help="number of this process and number of processes, such as 0/2")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    part, n_parts = map(int, options.part.split("/"))
    make(find_package(options.ensemble, Settings.read().ensembles_dir), options.scratch, part, n_parts)


if __name__ == "__main__":
    main()
