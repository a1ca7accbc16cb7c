"""Small plans and score tables for the catalogue's tests."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from scanner.catalogue.columns import PHOTOMETRY_COLUMNS, unit_schema
from scanner.catalogue.gate import begin
from scanner.catalogue.ledger import publish
from scanner.catalogue.map_columns import EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.night_file import show
from scanner.catalogue.outcomes import SKIPPED
from scanner.catalogue.plan import ScanConfig, freeze, make_plan
from scanner.catalogue.seal import seal
from scanner.catalogue.units import InputFile, SelectedRows, Unit, id_digest
from scanner.purity import PurityTable
from scanner.sources.shards import encode_shard, shard_table
from scanner.sources.survey import EUCLID_MER
from scanner.vocabulary.geometry import CHALLENGE
from scanner.vocabulary.network_columns import KIND_P

NETWORKS = ("OU-66", "OU-200")
NIGHT = "2026-11-24"
PLACE = "/data"
"""Folder of the input files of units; they need not exist."""


@dataclass(frozen=True)
class EnsembleName:
    name: str = "test"
    sha256: str = "e" * 64


def unit_of(unit_id, ids, owned_elsewhere=(), kind="tile", skipped=()):
    role, suffix = ("catalogue", "fits") if kind == "tile" else ("shard", "parquet")
    files = {role: InputFile(uri=f"{PLACE}/{unit_id}.{suffix}", size=1, etag="1")}
    return Unit(
        unit_id=unit_id,
        kind=kind,
        files=files,
        n_rows=len(ids),
        id_digest=id_digest(ids),
        owned_elsewhere=owned_elsewhere,
        selected=SelectedRows.of(~np.isin(ids, skipped), np.array(ids)) if skipped else None,
    )


def plan_of(ids_by_unit, kind="tile", **config):
    units = [unit_of(unit_id, ids, kind=kind) for unit_id, ids in ids_by_unit.items()]
    return make_plan(NIGHT, EnsembleName(), ScanConfig(**config), units)


def scores(ids, p_lens, **changes):
    """Return a table of `unit_schema`; a `p_lens` of None is a rejected row."""
    scored = [p is not None for p in p_lens]
    n = len(ids)
    columns = {
        "object_id": list(ids),
        "candidate_id": [None] * n,
        "ra": [float(i % 360) for i in ids],
        "dec": [1.0] * n,
        "tile": ["t"] * n,
        "night": [NIGHT] * n,
        "status": ["scored" if s else "rejected:blank" for s in scored],
        "detail": ["" if s else "VIS: all zero" for s in scored],
        "p_OU_66": [0.25 if s else None for s in scored],
        "p_OU_200": [0.75 if s else None for s in scored],
        "p_lens": list(p_lens),
        "p_compound": [None] * n,
        **{name: [None] * n for name in KIND_P},
        "subclass": ["single" if s else "" for s in scored],
        "disagreement": [0.25 if s else None for s in scored],
        "bands_shift_arcsec": [None] * n,
        "stage": [1 if s else 0 for s in scored],
        "precision": ["float32" if s else "" for s in scored],
    } | changes
    schema = unit_schema(NETWORKS, embeddings="embedding" in columns)
    return pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def finished(
    root,
    p_lens,
    *,
    night=NIGHT,
    ensemble=None,
    shown=None,
    purity=None,
    networks=NETWORKS,
    subclass=None,
    kind="tile",
    changes=None,
    gate=False,
    embeddings=None,
    survey=EUCLID_MER,
    skipped=(),
    **config,
):
    """Commit, seal and show a plan of tiles or shards, given as `{unit: {object: p_lens}}`; return the plan.

    With `gate`, the plan is held in place of being shown. `changes` are columns that all units have in place of their own;
    `embeddings` are those of objects, by their ids. The plan does not select the objects `skipped`.
    """
    units = [unit_of(name, list(rows), kind=kind, skipped=skipped) for name, rows in p_lens.items()]
    plan = make_plan(night, ensemble or EnsembleName(), ScanConfig(**config), units, survey)
    freeze(plan, root)
    for unit in plan.units:
        rows = p_lens[unit.unit_id]
        place = {"tile": [unit.unit_id] * len(rows), "night": [night or ""] * len(rows)}
        more = {"subclass": subclass} if subclass else {}
        if embeddings is not None:
            found = [embeddings.get(i) for i in rows]
            more |= {"embedding": found, "anomaly": [None if values is None else 0.5 for values in found]}
        if skipped:
            statuses = [SKIPPED if i in skipped else "scored" if p is not None else "rejected:blank" for i, p in rows.items()]
            more |= {"status": statuses, "detail": ["VIS: all zero" if s.startswith("rejected") else "" for s in statuses]}
        table = scores(list(rows), list(rows.values()), **place, **more, **(changes or {}))
        if config.get("maps_per_unit"):
            best = sorted((p or 0.0, i) for i, p in enumerate(rows.values()) if p and p >= 0.5)[-config["maps_per_unit"] :]
            table = with_maps(table, {i for _, i in best})
        schema = unit_schema(networks, maps="maps_per_unit" in config, embeddings=embeddings is not None)
        renamed = pa.Table.from_arrays(table.columns, schema=schema)
        publish(renamed, unit, plan, root, "try")
    begin(plan, root, plan.config.candidate_threshold if shown is None else shown, purity, gate=gate)
    seal(plan, root)
    if not gate:
        show(plan, root, shown, purity)
    return plan


def random_scores(rng, ids):
    """Return scores for the ids in random order, about a fifth rejected."""
    ids = rng.permutation(np.asarray(ids))
    return scores(ids.tolist(), [None if rng.random() < 0.2 else float(np.float32(rng.random())) for _ in ids])


def with_maps(table, places):
    """Return the table with photometry and maps in the rows `places`; their values follow from the object's id."""
    ids = table["object_id"].to_pylist()
    for column in (*PHOTOMETRY_COLUMNS, *EXPLANATION_COLUMNS):
        values = [ids[i] % 100 / 100 if i in places else None for i in range(table.num_rows)]
        table = table.append_column(column.field(), pa.array(values, pa.float32()))
    for column in MAP_COLUMNS:
        values = [[(ids[i] + k) % 100 for k in range(column.n_values)] if i in places else None for i in range(table.num_rows)]
        table = table.append_column(column.field(), pa.array(values, column.type))
    return table


def write_shard(path, ids, data_set=None):
    """Write a shard of blank stamps of these objects, which may state its data set."""
    stamps = {band: np.zeros((len(ids), grid.n_pixels, grid.n_pixels), np.float32) for band, grid in CHALLENGE.grids.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    table = shard_table(np.array(ids, np.int64), stamps, {}, CHALLENGE)
    if data_set is not None:
        table = table.replace_schema_metadata({**table.schema.metadata, b"lensscan.dataset": data_set})
    path.write_bytes(encode_shard(table))


def purity_table(purity):
    """Return a table with the same purity at every cut."""
    value, one = {"value": purity, "low": purity, "high": purity}, {"value": 1, "low": 1, "high": 1}
    cut = {"p_lens": 0.5, "n_false_positives": 1, "recall": one, "purity": value, "expected_purity": purity}
    return PurityTable(prevalence=0.001, cuts=({**cut, "to_inspect_per_million": one},))
