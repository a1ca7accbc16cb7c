"""Data sets of simulated objects: the object at an index depends on the seed and the index alone."""

from collections.abc import Iterable
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, SeedSequence, default_rng
from pydantic import BaseModel, ConfigDict, Field, model_validator

from infra.storage import create_if_absent, exists, join, open_read, read_bytes
from scanner.pixels.geometry import GEOMETRIES
from scanner.pixels.shards import ROWS_PER_SHARD, decode_shard, shard_table
from simulation.contact_sheet import contact_sheet_png
from simulation.population import Kind
from simulation.render import SimulationError, simulate_object, stack

FRACTIONS: tuple[tuple[Kind, float], ...] = (("nonlens", 0.5), ("single", 0.3), ("compound_arc", 0.1), ("double_ring", 0.1))
_SPEC_KEY = b"lensscan.dataset"


class DatasetSpec(BaseModel):
    """What a data set holds."""

    model_config = ConfigDict(frozen=True)

    n: int = Field(ge=1)
    """Objects in all."""
    seed: int = Field(ge=0)
    fractions: tuple[tuple[Kind, float], ...] = FRACTIONS
    """Probability of each kind; they sum to 1."""
    geometry: Literal["challenge", "mer"] = "challenge"

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        kinds = [kind for kind, _ in self.fractions]
        total = sum(p for _, p in self.fractions)
        if len(set(kinds)) != len(kinds) or any(p < 0 for _, p in self.fractions) or not np.isclose(total, 1):
            raise ValueError(f"fractions must be >= 0, sum to 1 and name each kind once, got {self.fractions}")
        return self

    @property
    def n_shards(self) -> int:
        return -(-self.n // ROWS_PER_SHARD)


def object_rng(spec: DatasetSpec, index: int) -> Generator:
    """The source of everything random about the object at an index."""
    return default_rng(SeedSequence(spec.seed, spawn_key=(index,)))


def simulate_objects(spec: DatasetSpec, indices: Iterable[int]) -> pa.Table:
    """A shard table of the objects at `indices`, in that order; `object_id` is the index.

    Raises:
        SimulationError: an object could not be made; the message names its index.
    """
    geometry = GEOMETRIES[spec.geometry]
    kinds, probabilities = zip(*spec.fractions, strict=True)
    ids: list[int] = []
    stamps = []
    truth: dict[str, list] = {}
    for index in indices:
        rng = object_rng(spec, index)
        kind: Kind = kinds[int(rng.choice(len(kinds), p=probabilities))]
        try:
            simulated = simulate_object(kind, spec.geometry, rng)
        except ValueError as error:
            raise SimulationError(f"object {index} of seed {spec.seed}: {error}") from error
        ids.append(index)
        stamps.append(simulated.stamps)
        for name, value in {"kind": kind, "index": index, **simulated.truth}.items():
            truth.setdefault(name, []).append(value)
    return shard_table(np.array(ids, np.int64), stack(stamps, geometry), truth, geometry)


def shard_uris(spec: DatasetSpec, out_uri: str) -> list[str]:
    """Where the shards of a data set lie."""
    return [join(out_uri, f"shard-{number:05d}.parquet") for number in range(spec.n_shards)]


def simulate_shard(spec: DatasetSpec, shard_number: int) -> pa.Table:
    """The table of one shard.

    Raises:
        ValueError: there is no such shard.
        SimulationError: an object could not be made.
    """
    if not 0 <= shard_number < spec.n_shards:
        raise ValueError(f"shard_number must be in [0, {spec.n_shards}), got {shard_number}")
    table = simulate_objects(spec, _shard_indices(spec, shard_number))
    return table.replace_schema_metadata({**table.schema.metadata, _SPEC_KEY: _per_object(spec).encode()})


def is_shard_of(spec: DatasetSpec, shard_number: int, uri: str) -> bool:
    """Does `uri` hold this shard of this data set already? Objects of a longer or shorter set are the same ones.

    Raises:
        SimulationError: it holds a shard of another data set.
    """
    if not exists(uri):
        return False
    with open_read(uri) as file:
        footer = pq.ParquetFile(file)
        described = (footer.schema_arrow.metadata or {}).get(_SPEC_KEY, b"").decode()
        n_rows = footer.metadata.num_rows
    expected = len(_shard_indices(spec, shard_number))
    if described != _per_object(spec) or n_rows != expected:
        raise SimulationError(f"{uri} holds {n_rows} objects of {described or 'unknown origin'}, not {expected} of {spec}")
    return True


def _shard_indices(spec: DatasetSpec, shard_number: int) -> range:
    first = shard_number * ROWS_PER_SHARD
    return range(first, min(first + ROWS_PER_SHARD, spec.n))


def _per_object(spec: DatasetSpec) -> str:
    """What decides an object besides its index."""
    return spec.model_dump_json(exclude={"n"})


def write_contact_sheet(shard_uri: str, out_uri: str) -> None:
    """A PNG at `out_uri` that shows objects of the shard; one that is there already is kept."""
    shard = decode_shard(read_bytes(shard_uri))
    create_if_absent(out_uri, contact_sheet_png(shard), "contact-sheet")
