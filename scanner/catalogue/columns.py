"""Declare every column of the catalogue once: the Arrow schemas and the documentation table are built from here."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from scanner.catalogue.column import Column, MapColumn
from scanner.catalogue.map_columns import CUTOUT, CUTOUT_STEP, EXPLANATION_COLUMNS, MAP_COLUMNS
from scanner.catalogue.photometry_columns import PHOTOMETRY_COLUMNS
from scanner.vocabulary.kinds import KINDS
from scanner.vocabulary.network_columns import (
    COMBINED_P,
    P_PREFIX,
    check_network_columns,
    kind_column_name,
    network_column_name,
)

OBJECT_ID = Column("object_id", pa.int64(), "", "meta.id;meta.main", "Identifier in the input catalogue", nullable=False)
POSITION_COLUMNS = (
    Column("candidate_id", pa.string(), "", "meta.id", "IAU-style name derived from the position"),
    Column("ra", pa.float64(), "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
    Column("dec", pa.float64(), "deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
    Column("tile", pa.string(), "", "meta.id;obs.field", "Name of the survey tile or input shard of the row"),
    Column(
        "night",
        pa.string(),
        "",
        "time.epoch;obs",
        "Night of the scan, YYYY-MM-DD; empty for a scan without a night",
        nullable=False,
    ),
)
OUTCOME_COLUMNS = (
    Column(
        "status",
        pa.string(),
        "",
        "meta.code.status",
        "Outcome of the row: scored, rejected:<code> or skipped:<code>",
        nullable=False,
    ),
    Column(
        "detail",
        pa.string(),
        "",
        "meta.note",
        "Reason for a rejection, changes made to the pixels, shifted bands",
    ),
)
BANDS_SHIFT = Column(
    "bands_shift_arcsec",
    pa.float32(),
    "arcsec",
    "pos.angDistance",
    "Largest distance of a band's image from that of VIS, among the bands where it is certain; above 0.25 detail names the "
    "bands. Null where no distance is certain, and in rows of a scan that are no candidates, which are not checked",
)
"""Column behind those of the outcome, which files of earlier versions lack."""
COMBINED_COLUMNS = (
    Column(
        "p_lens",
        pa.float32(),
        "",
        "stat.probability;meta.main",
        "Probability of a lens from all networks combined, at the lens prevalence assumed by the ensemble",
    ),
    Column(
        "p_compound",
        pa.float32(),
        "",
        "stat.probability",
        "Probability of a compound lens at the same prevalence; null if the ensemble outputs none. It is p_lens times the sum "
        "of p_compound_arc_given_lens and p_double_ring_given_lens",
    ),
    *(
        Column(
            kind_column_name(kind),
            pa.float32(),
            "",
            "stat.probability",
            f"Probability that the object, if it is a lens, is a {kind}, at the share of compound lenses that the ensemble "
            "assumes; the three kinds sum to 1; null if the ensemble does not separate them",
        )
        for kind in KINDS[1:]
    ),
    Column(
        "subclass",
        pa.string(),
        "",
        "src.class",
        "Most probable kind of lens (single, compound_arc or double_ring), or nonlens if that has more than half of the "
        "probability, where half of the objects are lenses. The kinds are as frequent as among the simulated objects of the "
        "calibration, where compound lenses are common, unlike in p_compound",
    ),
    Column(
        "disagreement",
        pa.float32(),
        "",
        "stat.stdev;stat.probability",
        "Standard deviation of the probabilities that all networks, or those of the committee, give before calibration, at "
        "the class frequencies of their training; without a candidate network; null where one network excluded the row",
    ),
    Column(
        "stage",
        pa.int16(),
        "",
        "meta.code",
        "Stage of the ensemble that gave p_lens: 1 where one network excluded the row, the first stage or the early exit of "
        "the committee, or the ensemble has no stages; 2 where the committee scored it, and a candidate network perhaps after "
        "it; 0 if rejected, or scored by some networks alone",
        nullable=False,
    ),
    Column(
        "precision",
        pa.string(),
        "",
        "meta.note",
        "Arithmetic of the score: float32 for every possible candidate, float32 or bfloat16 otherwise; empty if rejected",
    ),
)
ANOMALY = Column(
    "anomaly",
    pa.float32(),
    "",
    "stat.value",
    "Distance to the 5th nearest object of the ensemble's reference in the space of embedding, in units of the distance that "
    "95 % of the reference stay below: above 1, the networks were hardly trained on the like; null where embedding is",
)
EMBEDDING = MapColumn(
    "embedding",
    pa.list_(pa.float32()),
    "",
    "stat.value",
    "What the last layers of the networks read, on 32 axes that the ensemble's reference fixes; objects that the networks see "
    "alike lie close together. Null where the committee did not score the row, or it was rejected",
    shape=(32,),
)
EMBEDDING_COLUMNS = (ANOMALY, EMBEDDING)
"""Columns of scans with an ensemble that has a reference."""
ORIGIN_COLUMNS = (
    Column("ensemble", pa.string(), "", "meta.version", "Name of the ensemble that scored the row", nullable=False),
    Column("plan_id", pa.string(), "", "meta.id;meta.dataset", "Digest of inputs, ensemble, code and settings", nullable=False),
)
HEALPIX = Column(
    "_healpix_29",
    pa.int64(),
    "",
    "pos.healpix",
    "HEALPix pixel of the position, nested scheme, order 29; published rows are sorted by it",
    nullable=False,
)
CODE_COLUMNS = (
    Column("ensemble_sha256", pa.string(), "", "meta.version", "Digest of the weights and the card of the ensemble"),
    Column("code_version", pa.string(), "", "meta.version", "Version of lensscan that scanned the row"),
)
"""Columns of the code of a row's plan, which a publication adds to those of a night's file."""
KNOWN_COLUMNS = (
    Column("known_name", pa.string(), "", "meta.id.cross", "Name of the nearest known lens; empty if none is near"),
    Column(
        "known_separation_arcsec",
        pa.float64(),
        "arcsec",
        "pos.angDistance",
        "Distance of the nearest known lens, at most the limit of the version; null if none is near",
    ),
    Column("known_grade", pa.string(), "", "meta.code.qual", "Grade of this known lens in its table; empty if it has none"),
    Column("known_reference", pa.string(), "", "meta.bib", "Source of this known lens in its table; empty if it has none"),
)
"""Columns of the known lens that is nearest to a row, which a publication adds."""
CANDIDATE = Column(
    "candidate",
    pa.bool_(),
    "",
    "meta.code",
    "Whether p_lens reaches the ensemble's own default threshold; false if rejected",
    nullable=False,
)
"""Column of `lensscan score` alone: all rows of a candidate catalogue are candidates, at the threshold of their scan."""
RANK = Column(
    "rank",
    pa.int64(),
    "",
    "stat.rank",
    "Place among the rows of the night by falling p_lens, then object_id; 1 is the best",
)
PURITY_COLUMNS = (
    Column(
        "expected_purity",
        pa.float32(),
        "",
        "stat.probability",
        "Expected fraction of lenses among all objects with at least this p_lens, at the prevalence assumed by the ensemble; "
        "null below the lowest evaluated cut, or if the ensemble was not evaluated",
    ),
    Column("expected_purity_low", pa.float32(), "", "stat.probability;stat.min", "Lower 95 % limit of expected_purity"),
    Column("expected_purity_high", pa.float32(), "", "stat.probability;stat.max", "Upper 95 % limit of expected_purity"),
)
RANK_COLUMNS = (RANK, *PURITY_COLUMNS)
"""Columns that depend on more than the row; null in rejected rows. `scanner.catalogue.ranking` appends them for readers."""
CARRIED_PREFIX = "cat_"
"""Beginning of the names of columns that come from the tiles' catalogues; the name there follows."""
_NETWORK_KEY = b"network"


def carried_column(name: str, kind: pa.DataType, unit: str) -> Column:
    """Return the column that carries a column of the tiles' catalogues; null, or an empty text, where it is not known."""
    about = f"Column {name} of the tile's catalogue; empty if it lacks it, the value is not finite, or the row is skipped"
    return Column(f"{CARRIED_PREFIX}{name}", kind, unit, "", about)


def carried_fields(schema: pa.Schema) -> list[pa.Field]:
    """Return the fields of a schema that come from the tiles' catalogues, in its order."""
    return [field for field in schema if field.name.startswith(CARRIED_PREFIX)]


def _network_field(network: str) -> pa.Field:
    """Return the field `p_<network>`; its metadata keep the network's own name, because that of the column may differ."""
    about = (
        f"Probability of a lens from network {network} alone, at the lens prevalence of p_lens; null for a network of the "
        "committee that did not see the row"
    )
    field = Column(network_column_name(network), pa.float32(), "", "stat.probability", about).field()
    return field.with_metadata({**field.metadata, _NETWORK_KEY: network})


def score_fields(network_names: Sequence[str], *, shifts: bool = True, embeddings: bool = False) -> list[pa.Field]:
    """Return the fields of `OUTCOME_COLUMNS`, one `p_<network>` per network, and those of `COMBINED_COLUMNS`.

    `BANDS_SHIFT` is among them unless `shifts` is false, as in files of earlier versions; with `embeddings`, those of
    `EMBEDDING_COLUMNS` are too.

    Raises:
        ValueError: networks share a column, or one would have a column of the ensemble.
    """
    check_network_columns(network_names)
    outcome, combined = ([column.field() for column in columns] for columns in (OUTCOME_COLUMNS, COMBINED_COLUMNS))
    embedded = [column.field() for column in EMBEDDING_COLUMNS] if embeddings else []
    return [*outcome, *([BANDS_SHIFT.field()] if shifts else []), *map(_network_field, network_names), *combined, *embedded]


def score_schema(id_type: pa.DataType, network_names: Sequence[str]) -> pa.Schema:
    """Return the schema that `lensscan score` writes: `object_id` of the manifest's own type, `score_fields`, `ra`, `dec`."""
    position = [column.field() for column in POSITION_COLUMNS if column.name in {"ra", "dec"}]
    return pa.schema([OBJECT_ID.field(id_type), *score_fields(network_names), *position])


def unit_schema(
    network_names: Sequence[str],
    *,
    maps: bool = False,
    carried: Sequence[pa.Field] = (),
    photometry: bool | None = None,
    cutouts: bool = True,
    shifts: bool = True,
    embeddings: bool = False,
) -> pa.Schema:
    """Return the schema of a unit file: identity, position, `score_fields`, `carried`, and what explains candidates.

    Args:
        network_names: Names of the networks.
        maps: Whether the plan has maps.
        carried: Fields of the tiles' catalogues.
        photometry: Whether candidates have photometry; by default if the plan has maps, as files of earlier versions have not.
        cutouts: Whether maps include the pixels of the bands, as files of earlier versions do not.
        shifts: Whether rows have `BANDS_SHIFT`, as files of earlier versions have not.
        embeddings: Whether rows have `EMBEDDING_COLUMNS`, as those of ensembles without a reference have not.
    """
    measured = PHOTOMETRY_COLUMNS if (maps if photometry is None else photometry) else ()
    lacking = () if cutouts else (CUTOUT, CUTOUT_STEP)
    mapped = [column for column in (*EXPLANATION_COLUMNS, *MAP_COLUMNS) if column not in lacking] if maps else []
    explained = (*measured, *mapped)
    identity = [column.field() for column in (OBJECT_ID, *POSITION_COLUMNS)]
    scores = score_fields(network_names, shifts=shifts, embeddings=embeddings)
    return pa.schema([*identity, *scores, *carried, *(column.field() for column in explained)])


def unit_schema_like(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a unit file with the networks, the carried columns and the maps of a schema."""
    return unit_schema(network_names(schema), **_parts_of(schema))


def candidate_schema_like(schema: pa.Schema) -> pa.Schema:
    """Return the schema of candidates with the networks, the carried columns and the maps of a schema."""
    return candidate_schema(network_names(schema), **_parts_of(schema))


def _parts_of(schema: pa.Schema) -> dict[str, Any]:
    has_photometry = PHOTOMETRY_COLUMNS[0].name in schema.names
    return {
        "maps": has_maps(schema),
        "carried": carried_fields(schema),
        "photometry": has_photometry,
        "cutouts": CUTOUT.name in schema.names,
        "shifts": BANDS_SHIFT.name in schema.names,
        "embeddings": EMBEDDING.name in schema.names,
    }


def candidate_schema(
    network_names: Sequence[str],
    *,
    maps: bool = False,
    carried: Sequence[pa.Field] = (),
    photometry: bool | None = None,
    cutouts: bool = True,
    shifts: bool = True,
    embeddings: bool = False,
) -> pa.Schema:
    """Return the schema of the candidate catalogue: `unit_schema` with maps in lists of fixed size, then the row's origin."""
    fixed = {column.name: column.field(column.fixed) for column in MAP_COLUMNS}
    of_unit = unit_schema(
        network_names,
        maps=maps,
        carried=carried,
        photometry=photometry,
        cutouts=cutouts,
        shifts=shifts,
        embeddings=embeddings,
    )
    fields = [fixed.get(field.name, field) for field in of_unit]
    return pa.schema([*fields, *(column.field() for column in ORIGIN_COLUMNS)])


def published_schema(network_names: Sequence[str], *, maps: bool = False, carried: Sequence[pa.Field] = ()) -> pa.Schema:
    """Return the schema of published rows: `HEALPIX`, `candidate_schema`, `CODE_COLUMNS`, `KNOWN_COLUMNS`, `RANK_COLUMNS`.

    Only what places a row must be there: a column that other nights have is null in the rows of this one. Maps are lists of
    any size, because astropy cannot read a file in which a list of a fixed size is null.
    """
    sized = {column.name: column.field() for column in MAP_COLUMNS}
    fields = [sized.get(field.name, field) for field in candidate_schema(network_names, maps=maps, carried=carried)]
    candidate = [field.with_nullable(field.name != OBJECT_ID.name) for field in fields]
    added = (*CODE_COLUMNS, *KNOWN_COLUMNS, *RANK_COLUMNS)
    return pa.schema([HEALPIX.field(), *candidate, *(column.field() for column in added)])


def has_maps(schema: pa.Schema) -> bool:
    """Return whether a schema has the columns of maps."""
    return MAP_COLUMNS[0].name in schema.names


def network_names(schema: pa.Schema) -> tuple[str, ...]:
    """Return the networks whose columns a schema holds, in its order; a name that the metadata lack is what follows `p_`."""
    names = []
    for field in schema:
        if field.name.startswith(P_PREFIX) and field.name not in COMBINED_P:
            stated = (field.metadata or {}).get(_NETWORK_KEY, b"").decode()
            names.append(stated if network_column_name(stated) == field.name else field.name.removeprefix(P_PREFIX))
    return tuple(names)
