"""Every column of the catalogue, declared once: Arrow schemas and the documentation table come from here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

P_PREFIX = "p_"


@dataclass(frozen=True)
class Column:
    """A column with its VOUnit string and UCD1+ words; empty where there is no unit."""

    name: str
    type: pa.DataType
    unit: str
    ucd: str
    description: str
    nullable: bool = True

    def field(self, kind: pa.DataType | None = None) -> pa.Field:
        """The Arrow field, with unit, ucd and description as its metadata."""
        metadata = {"unit": self.unit, "ucd": self.ucd, "description": self.description}
        return pa.field(self.name, kind or self.type, self.nullable, metadata)


OBJECT_ID = Column("object_id", pa.int64(), "", "meta.id;meta.main", "Identifier in the input catalogue", nullable=False)
POSITION_COLUMNS = (
    Column("candidate_id", pa.string(), "", "meta.id", "Name from the position, IAU style"),
    Column("ra", pa.float64(), "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
    Column("dec", pa.float64(), "deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
    Column("tile", pa.string(), "", "meta.id;obs.field", "Survey tile, or input shard, that the row was scanned in"),
    Column("night", pa.string(), "", "time.epoch;obs", "Night of the scan, YYYY-MM-DD", nullable=False),
)
OUTCOME_COLUMNS = (
    Column("status", pa.string(), "", "meta.code.status", "scored, or rejected:<code>", nullable=False),
    Column("detail", pa.string(), "", "meta.note", "Why a row was rejected, or what was done to its pixels"),
)
COMBINED_COLUMNS = (
    Column(
        "p_lens",
        pa.float32(),
        "",
        "stat.probability;meta.main",
        "Probability of a lens at the prevalence that the ensemble assumes, all networks combined",
    ),
    Column(
        "p_compound",
        pa.float32(),
        "",
        "stat.probability",
        "Probability of a compound lens at that prevalence, if told",
    ),
    Column(
        "subclass",
        pa.string(),
        "",
        "src.class",
        "Most probable kind if lenses were as frequent as in training: nonlens, single, compound_arc or double_ring",
    ),
    Column(
        "disagreement",
        pa.float32(),
        "",
        "stat.stdev;stat.probability",
        "Standard deviation of the networks' probabilities (p_<network>)",
    ),
    Column(
        "precision",
        pa.string(),
        "",
        "meta.note",
        "Arithmetic that scored the row: float32 for every row that could be a candidate, or bfloat16; empty if rejected",
    ),
)
SECOND_COLUMNS = (
    Column(
        "second_p_lens",
        pa.float32(),
        "",
        "stat.probability",
        "Probability of a lens that a second ensemble gives, in float32; null where it was not asked",
    ),
    Column(
        "second_disagreement",
        pa.float32(),
        "",
        "stat.stdev;stat.probability",
        "Standard deviation of the second ensemble's networks' probabilities",
    ),
)
EXPLANATION_COLUMNS = (
    Column(
        "attribution_core",
        pa.float32(),
        "",
        "stat.value;arith.ratio",
        "Share of Guided Grad-CAM, summed over the networks, within 0.5 arcsec of the centre; null where none says anything",
    ),
    Column(
        "attribution_arc",
        pa.float32(),
        "",
        "stat.value;arith.ratio",
        "Share of Guided Grad-CAM between 0.5 and 3 arcsec from the centre, where arcs lie",
    ),
    Column(
        "attribution_peak_arcsec",
        pa.float32(),
        "arcsec",
        "pos.angDistance",
        "Distance of the highest pixel of map_guided from the centre",
    ),
    *(
        Column(
            f"attribution_{band.lower()}",
            pa.float32(),
            "",
            "stat.value;arith.ratio",
            f"Share of Guided Grad-CAM in the band {band}",
        )
        for band in ("VIS", "Y", "J", "H")
    ),
    Column(
        "attribution_agreement",
        pa.float32(),
        "",
        "stat.correlation",
        "Correlation between the networks' Guided Grad-CAM, mean of all pairs; null where fewer than two say anything",
    ),
    Column(
        "occlusion_drop",
        pa.float32(),
        "",
        "stat.value",
        "What ln(p/(1-p)) of one network loses when that square of map_occlusion is hidden which it can spare least",
    ),
    Column("occlusion_step", pa.float32(), "", "arith.factor", "What one unit of map_occlusion stands for, in ln(p/(1-p))"),
)
"""Of candidates with maps; null in all other rows."""


@dataclass(frozen=True)
class MapColumn(Column):
    """Pixels of a candidate, in the order of `shape`, which ends in x or in the colour; the first row is the southernmost."""

    shape: tuple[int, ...] = ()

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)

    @property
    def fixed(self) -> pa.DataType:
        """As in the candidate catalogue; in unit files, where few rows have maps, lists take no memory where there are none."""
        return pa.list_(self.type.value_type, self.n_values)


MAP_COLUMNS = (
    MapColumn(
        "cutout_rgb",
        pa.list_(pa.uint8()),
        "",
        "phot.flux;obs.image",
        "80 x 80 x 3 [y, x, colour] of 0.1 arcsec: H in red, Y and J in green, VIS in blue, each in units of its sky, asinh",
        shape=(80, 80, 3),
    ),
    MapColumn(
        "map_guided",
        pa.list_(pa.uint8()),
        "",
        "stat.value;obs.image",
        "40 x 40 [y, x] of 0.2 arcsec: Guided Grad-CAM, sum of the networks, 255 being its highest; rounded by 0.2 % of that",
        shape=(40, 40),
    ),
    MapColumn(
        "map_cam",
        pa.list_(pa.uint8()),
        "",
        "stat.value;obs.image",
        "20 x 20 [y, x] of 0.4 arcsec: Grad-CAM, sum of the networks, 255 being its highest; rounded by 0.2 % of that",
        shape=(20, 20),
    ),
    MapColumn(
        "map_occlusion",
        pa.list_(pa.int16()),
        "",
        "stat.value;obs.image",
        "8 x 8 [y, x] of 1 arcsec: change of ln(p/(1-p)) of one network when that square is hidden, in units of "
        "occlusion_step, of which it is rounded by half; below zero where the square supports a lens",
        shape=(8, 8),
    ),
)
"""The middle 8 arcsec of candidates, sky up: the same for every ensemble."""
ORIGIN_COLUMNS = (
    Column("ensemble", pa.string(), "", "meta.version", "Name of the ensemble that scored", nullable=False),
    Column("plan_id", pa.string(), "", "meta.id;meta.dataset", "Digest of inputs, ensemble, code and settings", nullable=False),
)
_COMBINED_NAMES = frozenset(column.name for column in COMBINED_COLUMNS)


def network_column(network: str) -> Column:
    """The column `p_<network>`."""
    return Column(
        f"{P_PREFIX}{network}",
        pa.float32(),
        "",
        "stat.probability",
        f"Probability of a lens in the mixture of the training data, of network {network}",
    )


def score_fields(network_names: Sequence[str]) -> list[pa.Field]:
    """`status`, `detail`, one `p_<network>` per network, `p_lens`, `p_compound`, `subclass`, `disagreement`, `precision`.

    Raises:
        ValueError: a network's name is repeated or gives the name of another column.
    """
    columns = (*OUTCOME_COLUMNS, *(network_column(name) for name in network_names), *COMBINED_COLUMNS)
    names = [column.name for column in columns]
    if len(set(names)) != len(names):
        raise ValueError(f"network names must be different and none 'lens' or 'compound', got {list(network_names)}")
    return [column.field() for column in columns]


def score_schema(id_type: pa.DataType, network_names: Sequence[str]) -> pa.Schema:
    """`object_id` of the manifest's own type, then `score_fields`: what `lensscan score` writes."""
    return pa.schema([OBJECT_ID.field(id_type), *score_fields(network_names)])


def unit_schema(network_names: Sequence[str], *, maps: bool = False) -> pa.Schema:
    """Of a unit file: identity, position, `score_fields`, what a second ensemble says, and `maps` if the plan has any."""
    explained = (*EXPLANATION_COLUMNS, *MAP_COLUMNS) if maps else ()
    identity = [column.field() for column in (OBJECT_ID, *POSITION_COLUMNS)]
    return pa.schema([*identity, *score_fields(network_names), *(column.field() for column in (*SECOND_COLUMNS, *explained))])


def candidate_schema(network_names: Sequence[str], *, maps: bool = False) -> pa.Schema:
    """Of the candidate catalogue: `unit_schema`, its maps in lists of fixed size, and where the row comes from."""
    fixed = {column.name: column.field(column.fixed) for column in MAP_COLUMNS}
    fields = [fixed.get(field.name, field) for field in unit_schema(network_names, maps=maps)]
    return pa.schema([*fields, *(column.field() for column in ORIGIN_COLUMNS)])


def has_maps(schema: pa.Schema) -> bool:
    """Is it of a plan whose candidates have maps?"""
    return MAP_COLUMNS[0].name in schema.names


def network_names(schema: pa.Schema) -> tuple[str, ...]:
    """The networks whose columns a schema holds, in its order."""
    names = [name for name in schema.names if name.startswith(P_PREFIX) and name not in _COMBINED_NAMES]
    return tuple(name.removeprefix(P_PREFIX) for name in names)


def markdown_table(names: Sequence[str]) -> str:
    """The columns of the candidate catalogue as a table for the documentation."""
    head = ["| column | type | unit | UCD | meaning |", "|---|---|---|---|---|"]
    rows = []
    for field in candidate_schema(names, maps=True):
        about = {key.decode(): value.decode() for key, value in field.metadata.items()}
        rows.append(f"| `{field.name}` | {field.type} | {about['unit']} | `{about['ucd']}` | {about['description']} |")
    return "\n".join([*head, *rows]) + "\n"
