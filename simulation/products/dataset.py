"""Data sets of simulated objects: the object at an index depends on the specification and the index alone."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, SeedSequence, default_rng
from pydantic import Field, model_validator

from infra.frozen import Frozen
from infra.provenance import sha256_bytes
from infra.store.storage import create_if_absent, exists, join, open_read, read_bytes
from scanner.files.parquet_checked import BadParquetError, errors_as_bad_parquet
from scanner.sources.shards import DATA_SET_KEY, ROWS_PER_SHARD, decode_shard, shard_table
from scanner.vocabulary.choices import GeometryName, PopulationPreset
from scanner.vocabulary.geometry import GEOMETRIES, MER_10
from scanner.vocabulary.kinds import COMPONENTS
from simulation.optics.psf import Psf, read_psfs
from simulation.population.draw import DRAWS, LENS_SHARES, Draw, Shares, check_draw, kind_of_draw, lens_shares
from simulation.products.contact_sheet import contact_sheet_png
from simulation.products.render import Simulated, SimulationError, simulate_object, stack
from simulation.systems import Texture
from simulation.textures.library import read_textures

Content = TypeVar("Content")

KIND_SHARES: Shares = (("nonlens", 0.5), *LENS_SHARES)
_NEWER = {"pairs": False, "min_einstein_radius_arcsec": 0.0, "textures_sha256": None}
"""Settings that shards of earlier versions do not state; they are still shards of data sets without them."""
TWIN_ID = 2**40
"""Difference of the object ids of a lens and of the same lens without its arcs."""
LARGEST_MIN_RADIUS_ARCSEC = 3.0
"""Largest value of `min_einstein_radius_arcsec`: few lenses of the presets are wider."""


class DatasetSpec(Frozen):
    """Specification of a data set."""

    n: int = Field(ge=1)
    """Number of objects."""
    seed: int = Field(ge=0)
    preset: PopulationPreset = "euclid"
    kinds: Shares = KIND_SHARES
    """Probability of each kind or look-alike; they sum to 1."""
    geometry: GeometryName = "challenge"
    components: bool = False
    """Whether to keep the noise-free lens light and each lensed source."""
    pairs: bool = False
    """Whether every lens is followed by the same lens without its arcs, in the same noise."""
    min_einstein_radius_arcsec: float = Field(default=0.0, ge=0, le=LARGEST_MIN_RADIUS_ARCSEC)
    """Least Einstein radius of each lens for its nearer source, and of what lenses without arcs were before."""
    psf_uri: str | None = None
    """FITS file with a PSF for each band, instead of the model's."""
    psf_sha256: str | None = None
    """SHA-256 of that file."""
    textures_uri: str | None = None
    """File of `lensscan textures` with real galaxies, of which some late types become pictures."""
    textures_sha256: str | None = None
    """SHA-256 of that file."""

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        kinds = [kind for kind, _ in self.kinds]
        total = sum(p for _, p in self.kinds)
        if len(set(kinds)) != len(kinds) or any(p < 0 for _, p in self.kinds) or not np.isclose(total, 1):
            raise ValueError(f"shares of kinds must be >= 0, sum to 1 and name each kind once, got {self.kinds}")
        return self

    @property
    def n_shards(self) -> int:
        return -(-self.n // ROWS_PER_SHARD)


def dataset_spec(
    n: int,
    seed: int,
    preset: PopulationPreset = "euclid",
    kinds: str | None = None,
    geometry: GeometryName = "challenge",
    *,
    components: bool = False,
    pairs: bool = False,
    min_einstein_radius_arcsec: float = 0.0,
    psf_uri: str | None = None,
    textures_uri: str | None = None,
) -> DatasetSpec:
    """Build a specification from a user's arguments; `kinds` as for `parse_kinds`.

    Raises:
        SimulationError: a kind, weight or Einstein radius is invalid, the preset has no such kind, or it does not fit the
            geometry or textures.
        PsfError: the PSF file cannot be used.
        TextureError: the file of textures cannot be used.
    """
    shares = KIND_SHARES if kinds is None else parse_kinds(kinds)
    for draw, _ in shares:
        check_draw(preset, draw)
    if not 0 <= min_einstein_radius_arcsec <= LARGEST_MIN_RADIUS_ARCSEC:
        raise SimulationError(
            f"min_einstein_radius_arcsec must be in [0, {LARGEST_MIN_RADIUS_ARCSEC:g}], got {min_einstein_radius_arcsec:g}"
        )
    if preset == "wilde2022":
        _check_fits_wilde2022(geometry, textures_uri)
    return DatasetSpec(
        n=n,
        seed=seed,
        preset=preset,
        kinds=shares,
        geometry=geometry,
        components=components,
        pairs=pairs,
        min_einstein_radius_arcsec=min_einstein_radius_arcsec,
        psf_uri=psf_uri,
        psf_sha256=_checked_sha256(psf_uri, read_psfs),
        textures_uri=textures_uri,
        textures_sha256=_checked_sha256(textures_uri, read_textures),
    )


def _check_fits_wilde2022(geometry: GeometryName, textures_uri: str | None) -> None:
    if geometry == MER_10.name:
        raise SimulationError(
            "lenses of the preset wilde2022 lie off the centre: its geometry must be challenge or mer, got mer10"
        )
    if textures_uri:
        raise SimulationError(
            "textures are for the presets euclid, broad and any_host, got wilde2022, which keeps to its paper"
        )


def _checked_sha256(uri: str | None, read: Callable[[str], object]) -> str | None:
    """Return the SHA-256 of a file, after a check that `read` accepts the file; None without a file."""
    if not uri:
        return None
    digest = sha256_bytes(read_bytes(uri))
    read(uri)
    return digest


def parse_kinds(text: str) -> Shares:
    """Parse shares of kinds from `single,spiral` (equal shares) or `nonlens=3,double_ring=1` (relative weights).

    Raises:
        SimulationError: a kind is unknown or named twice, or a weight is not a number > 0.
    """
    weights: dict[Draw, float] = {}
    for entry in text.split(","):
        name, _, weight = (part.strip() for part in entry.partition("="))
        known = next((draw for draw in DRAWS if draw == name), None)
        if known is None:
            raise SimulationError(f"kind must be one of {', '.join(DRAWS)}, got {name!r}")
        if known in weights:
            raise SimulationError(f"each kind may be named once, got {name!r} again in {text!r}")
        weights[known] = _weight(weight or "1", name)
    total = sum(weights.values())
    return tuple((draw, weight / total) for draw, weight in weights.items())


def _weight(text: str, kind: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = float("nan")
    if not 0 < weight < float("inf"):
        raise SimulationError(f"the weight of {kind} must be a number > 0, got {text!r}")
    return weight


def object_rng(spec: DatasetSpec, index: int) -> Generator:
    """Return the random generator of the object at an index."""
    return default_rng(SeedSequence(spec.seed, spawn_key=(index,)))


def simulate_at(
    spec: DatasetSpec, index: int, psfs: Mapping[str, Psf] | None = None, textures: Sequence[Texture] = ()
) -> Simulated:
    """Simulate the object at an index.

    Raises:
        SimulationError: it could not be simulated; the message names its index.
    """
    rng = object_rng(spec, index)
    draw_of = _draw_of(spec, rng)
    geometry = GEOMETRIES[spec.geometry]
    try:
        return simulate_object(
            draw_of,
            geometry,
            rng,
            preset=spec.preset,
            psfs=psfs,
            textures=textures,
            arcless_lens_shares=lens_shares(spec.kinds),
            min_einstein_radius_arcsec=spec.min_einstein_radius_arcsec,
            keep_components=spec.components,
            with_twin=spec.pairs,
        )
    except ValueError as error:
        raise SimulationError(f"object {index} of seed {spec.seed}: {error}") from error


def _draw_of(spec: DatasetSpec, rng: Generator) -> Draw:
    """Draw the kind or look-alike of an object, with the first number of its generator."""
    kinds, probabilities = zip(*spec.kinds, strict=True)
    return cast("Draw", kinds[int(rng.choice(len(kinds), p=probabilities))])


def simulate_objects(spec: DatasetSpec, indices: Iterable[int]) -> pa.Table:
    """Simulate a shard table of the objects at `indices`, in that order; `object_id` is the index.

    If the data set has pairs, each lens is followed by its twin, whose `index` is that of the lens; the twin's `object_id` is
    `TWIN_ID` larger.

    Raises:
        SimulationError: an object could not be simulated, and the message names its index; or the file of PSFs or textures is
            not that of the specification.
    """
    geometry = GEOMETRIES[spec.geometry]
    psfs = _read_unchanged(spec.psf_uri, spec.psf_sha256, read_psfs) if spec.psf_uri else None
    textures = _read_unchanged(spec.textures_uri, spec.textures_sha256, read_textures) if spec.textures_uri else ()
    numbered: list[tuple[int, int, Simulated]] = []
    for index in indices:
        simulated = simulate_at(spec, index, psfs, textures)
        numbered.append((index, index, simulated))
        if simulated.twin:
            numbered.append((index + TWIN_ID, index, simulated.twin))
    ids, objects = [number for number, _, _ in numbered], [simulated for _, _, simulated in numbered]
    rows = [{"index": index, **simulated.scene.truth} for _, index, simulated in numbered]
    truth = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    components = (
        {name: stack([simulated.scene.components[name] for simulated in objects], geometry) for name in COMPONENTS}
        if spec.components
        else None
    )
    return shard_table(
        np.array(ids, np.int64), stack([simulated.stamps for simulated in objects], geometry), truth, geometry, components
    )


def _read_unchanged(uri: str, sha256: str | None, read: Callable[[str], Content]) -> Content:
    """Read a file that a specification names, and check that it is still the one whose digest the shards state."""
    content = read(uri)
    # A digest before the read would miss a file that is replaced between the two.
    if sha256 and (digest := sha256_bytes(read_bytes(uri))) != sha256:
        raise SimulationError(f"{uri} was replaced: its SHA-256 must be {sha256[:12]}, as at the start, got {digest[:12]}")
    return content


def shard_uris(spec: DatasetSpec, out_uri: str) -> list[str]:
    """Return the URIs of the shards of a data set, in order."""
    return [join(out_uri, f"shard-{number:05d}.parquet") for number in range(spec.n_shards)]


def simulate_shard(spec: DatasetSpec, shard_number: int) -> pa.Table:
    """Simulate the table of one shard.

    Raises:
        ValueError: there is no such shard.
        SimulationError: an object could not be simulated.
    """
    if not 0 <= shard_number < spec.n_shards:
        raise ValueError(f"shard_number must be in [0, {spec.n_shards}), got {shard_number}")
    table = simulate_objects(spec, _shard_indices(spec, shard_number))
    return table.replace_schema_metadata({**table.schema.metadata, DATA_SET_KEY: per_object(spec).encode()})


def is_shard_of(spec: DatasetSpec, shard_number: int, uri: str) -> bool:
    """Return whether `uri` already holds this shard of this data set.

    Raises:
        SimulationError: it is damaged, or holds a shard of another data set, or another number of objects of this one.
    """
    if not exists(uri):
        return False
    try:
        with open_read(uri) as file, errors_as_bad_parquet():
            footer = pq.read_metadata(file)
    except BadParquetError as error:
        raise SimulationError(f"{uri} is no readable Parquet file; remove it, or use another folder") from error
    described, n_rows = (footer.metadata or {}).get(DATA_SET_KEY, b"").decode(errors="replace"), footer.num_rows
    expected = shard_n_rows(spec, shard_number)
    if described != per_object(spec):
        raise SimulationError(f"{uri} belongs to another data set ({_differences(described, spec)}); use another folder")
    if n_rows != expected:
        limit = "its last shard cannot grow" if n_rows < expected else "a shard cannot get shorter"
        counted = "rows" if spec.pairs else "objects"
        raise SimulationError(f"{uri} holds {n_rows} {counted} of this data set, not {expected}: {limit}; use another folder")
    return True


def _differences(described: str, spec: DatasetSpec) -> str:
    """Name the settings in which the data set that a shard describes differs from `spec`, as `seed 1, not 2`."""
    try:
        stated = json.loads(described)
    except ValueError:
        stated = None
    if not isinstance(stated, dict):
        return "unknown origin"
    asked = json.loads(per_object(spec))
    names = dict.fromkeys((*asked, *stated))
    stated, asked = {**_NEWER, **stated}, {**_NEWER, **asked}
    different = [name for name in names if stated.get(name) != asked.get(name)]
    # Equal settings in other words come from another program.
    return "; ".join(_difference(name, stated.get(name), asked.get(name)) for name in different) or "unknown origin"


def _difference(name: str, *values: Any) -> str:
    """Say that the first of two values of a setting is not the second; of a digest, its beginning."""
    is_digest = name.endswith("_sha256")
    texts = [_text(value)[: 12 if is_digest else None] for value in values]
    return f"{name.removesuffix('_sha256')} {texts[0]}, not {texts[1]}"


def _text(value: Any) -> str:
    """Return a value of JSON as an option has it: kinds as `single=0.5,star=0.5`."""
    if isinstance(value, list) and all(isinstance(entry, list) for entry in value):
        return ",".join("=".join(map(_text, entry)) for entry in value)
    return "none" if value is None else json.dumps(value).strip('"')


def shard_n_rows(spec: DatasetSpec, shard_number: int) -> int:
    """Return the number of rows of a shard, which has two for each lens if the data set has pairs."""
    indices = _shard_indices(spec, shard_number)
    if not spec.pairs:
        return len(indices)
    is_lens = [kind_of_draw(_draw_of(spec, object_rng(spec, index))) != "nonlens" for index in indices]
    return len(indices) + sum(is_lens)


def _shard_indices(spec: DatasetSpec, shard_number: int) -> range:
    first = shard_number * ROWS_PER_SHARD
    return range(first, min(first + ROWS_PER_SHARD, spec.n))


def per_object(spec: DatasetSpec) -> str:
    """Return the part of the specification that, with its index, determines an object."""
    absent = {name for name in _NEWER if not getattr(spec, name)}
    return spec.model_dump_json(exclude={"n", "psf_uri", "textures_uri", *absent})


def write_contact_sheet(shard_uri: str, out_uri: str) -> None:
    """Write a PNG with objects of the shard to `out_uri`; an existing file is kept."""
    shard = decode_shard(read_bytes(shard_uri))
    create_if_absent(out_uri, contact_sheet_png(shard), "contact-sheet")
