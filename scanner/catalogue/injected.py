"""The file of the lenses that were injected into a night's own galaxies to measure its completeness.

The objects of this file are none of the night's: no reader of candidates or of scores opens it. Its metadata say which scans
of the night they belong to, so that a reader notices when the night shows other ones.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from infra.errors import LensscanError
from infra.frozen import Frozen
from infra.provenance import canonical_json
from infra.store.replacement import replace
from infra.store.storage import StorageError, join, list_files, read_bytes
from scanner.catalogue.column import Column
from scanner.catalogue.paths import INJECTED, injected_uri, label_of_injected, night_label
from scanner.catalogue.shown import ShownPlan, shown_plans
from scanner.completeness import PROPERTIES, Sample

_KEY = b"lensscan.injected"
_EM = "em.opt"

INJECTED_COLUMNS = (
    Column("object_id", pa.int64(), "", "meta.id", "Identifier of the galaxy that the arcs were painted about", nullable=False),
    Column("tile", pa.string(), "", "meta.id;obs.field", "Name of its survey tile or input shard", nullable=False),
    Column("kind", pa.string(), "", "src.class", "True kind: single, compound_arc or double_ring", nullable=False),
    Column(
        "einstein_radius_arcsec",
        pa.float32(),
        "arcsec",
        "phys.angSize",
        "Einstein radius of the lens for its nearer source",
        nullable=False,
    ),
    Column(
        "einstein_radius2_arcsec",
        pa.float32(),
        "arcsec",
        "phys.angSize",
        "Einstein radius for the farther source of a compound lens; null for a single lens",
    ),
    Column(
        "arc_snr",
        pa.float32(),
        "",
        f"stat.snr;{_EM}",
        "Signal-to-noise ratio of all arcs in VIS at the nominal depth of the Wide survey: root of the summed squares of the "
        "pixels whose arc light exceeds the noise of sky, galaxy and arcs",
        nullable=False,
    ),
    Column(
        "source_vis_minus_h", pa.float32(), "mag", "phot.color", "True AB colour VIS - H of the nearer source", nullable=False
    ),
    Column(
        "source_mag_vis", pa.float32(), "mag", f"phot.mag;{_EM}", "AB magnitude of that source without lensing", nullable=False
    ),
    Column(
        "lens_mag_vis",
        pa.float32(),
        "mag",
        f"phot.mag;{_EM}",
        "Total AB magnitude of the galaxy, measured within 3 arcsec and corrected for the light beyond",
        nullable=False,
    ),
    Column(
        "lens_vis_minus_h",
        pa.float32(),
        "mag",
        "phot.color",
        "AB colour VIS - H of the galaxy, as candidates have",
        nullable=False,
    ),
    Column(
        "sky_sigma_vis_ujy",
        pa.float32(),
        "uJy",
        f"stat.stdev;phot.flux.density;{_EM}",
        "Depth: standard deviation of the sky of VIS around the galaxy, per pixel of the networks' input",
        nullable=False,
    ),
    Column(
        "p_lens",
        pa.float32(),
        "",
        "stat.probability;meta.main",
        "Probability of a lens with the arcs, as a scan computes it",
        nullable=False,
    ),
    Column("p_compound", pa.float32(), "", "stat.probability", "Probability of a compound lens; null if the ensemble has none"),
    Column("subclass", pa.string(), "", "src.class", "Most probable kind, as of candidates; empty if the ensemble has none"),
    Column(
        "is_recovered",
        pa.bool_(),
        "",
        "meta.code",
        "Whether p_lens is at or above the smallest that the night shows",
        nullable=False,
    ),
)
"""Columns of the file."""


MIN_REAL = 20
"""Smallest number of likely real candidates, and of likely injected lenses, that are compared: with fewer, the interval of
`Realism.auroc` covers nearly everything."""
MOST_AUROC = 0.76
"""Limit of `Realism.auroc` above which injected lenses count as unlike real candidates: the value for two Gaussians one
standard deviation apart, Phi(1 / sqrt 2). Beyond it they differ by more than their own scatter, and their scores may, too."""


class InjectedError(LensscanError):
    """A night has no injected lenses, or they belong to another scan, or their file is damaged."""


class Realism(Frozen):
    """AUROC with which a classifier tells recovered injected lenses from the night's real candidates."""

    auroc: float = Field(ge=0, le=1)
    """Cross-validated area under the ROC curve: 0.5 if they look alike, 1 if every one can be told."""
    low: float
    high: float
    """Its 95 % interval."""
    n_injected: int
    n_real: int

    @property
    def is_low(self) -> bool:
        """Whether injected lenses are unlike real candidates."""
        return self.auroc > MOST_AUROC

    def __str__(self) -> str:
        compared = f"{self.n_injected} injected lenses from {self.n_real} real candidates"
        told = f"a classifier tells {compared} with an AUROC of {self.auroc:.2f} ({self.low:.2f}\u2013{self.high:.2f})"
        if self.is_low:
            return f"WARNING: {told}, above the limit of {MOST_AUROC}: injected lenses are unlike them, so take care"
        return f"{told}; 0.5 is alike, and the limit is {MOST_AUROC}"


class InjectionArguments(Frozen):
    """Everything that decides which lenses are injected and how they score."""

    night: str | None
    shown: tuple[tuple[str, float], ...]
    """Plan id and threshold of each plan that the night shows, newest first."""
    ensemble_name: str
    ensemble_sha256: str
    threshold: float
    """Smallest `p_lens` that the night shows."""
    n: int = Field(ge=1)
    """Number of lenses to inject."""
    seed: int = Field(ge=0)
    most_units: int = Field(ge=1)
    """Largest number of tiles or shards whose galaxies are read."""
    psf_sha256: str | None = None
    """Digest of a file with PSFs; None without one."""
    code_version: str


class InjectionFacts(Frozen):
    """Facts of an injection, for people."""

    units: tuple[str, ...]
    """Tiles or shards whose galaxies were read."""
    n_units: int
    """Number of those that the night shows."""
    n_hosts: int
    """Number of galaxies in them that could be hosts, of those that were read."""
    n_failed: int
    """Number of lenses that no galaxy could host."""
    hosts: str
    """How hosts were chosen, in words."""
    psf: str
    """PSF through which arcs were painted, in words."""
    realism: Realism | None = None
    """None if there are too few real candidates."""
    n_real: int = 0
    """Number of likely real candidates."""
    unlike_share: float | None = None
    """Share of the lenses drawn whose galaxy no host looks like, which were drawn again; None in files of earlier versions."""

    @property
    def left_out_in_words(self) -> str:
        """Say which share of the population the completeness leaves out."""
        if self.unlike_share is None:
            return "not counted"
        return f"{100 * self.unlike_share:.0f} % of the lenses drawn, because none of these galaxies looks like theirs"

    @property
    def realism_in_words(self) -> str:
        """Say how real injected lenses are, or that it cannot be measured."""
        if self.realism is not None:
            return str(self.realism)
        if self.n_real < MIN_REAL:
            return f"cannot be measured: {self.n_real} real candidates are likely lenses, and {MIN_REAL} are needed"
        return f"cannot be measured: fewer than {MIN_REAL} injected single lenses are likely lenses"


@dataclass(frozen=True)
class Injected:
    """The content of a night's file."""

    table: pa.Table
    """Columns `INJECTED_COLUMNS`."""
    arguments: InjectionArguments
    facts: InjectionFacts

    def sample(self, min_p_lens: float | None = None) -> Sample:
        """Return the objects, recovered at or above `min_p_lens`, which is the night's own threshold by default."""
        least = self.arguments.threshold if min_p_lens is None else min_p_lens
        return Sample(
            kind=np.array(self.table["kind"].to_pylist(), np.str_),
            properties=MappingProxyType({name: self.table[name].to_numpy().astype(np.float64) for name in PROPERTIES}),
            is_recovered=self.table["p_lens"].to_numpy().astype(np.float64) >= least,
        )


def shown_state(plans: Iterable[ShownPlan]) -> tuple[tuple[str, float], ...]:
    """Return what a night shows, as `InjectionArguments` records it; `plans` are newest first."""
    return tuple((shown.plan_id, shown.threshold) for shown in plans)


def injected_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return a table of `INJECTED_COLUMNS` from mappings of their names to values."""
    schema = pa.schema([column.field() for column in INJECTED_COLUMNS])
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)


def write_injected(injected: Injected, root_uri: str) -> str:
    """Write the file of a night, or replace it whole, and return its URI.

    Raises:
        StorageError: the store failed.
    """
    uri = injected_uri(root_uri, night_label(injected.arguments.night))
    about = {"arguments": injected.arguments.model_dump(), "facts": injected.facts.model_dump()}
    sink = io.BytesIO()
    table = injected.table.replace_schema_metadata({_KEY: canonical_json(about)})
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    replace(uri, sink.getvalue())
    return uri


def read_injected(root_uri: str, label: str) -> Injected | None:
    """Read the file of the night with this label; None if there is none.

    Raises:
        InjectedError: the file is damaged.
        StorageError: the store failed.
    """
    uri = injected_uri(root_uri, label)
    try:
        data = read_bytes(uri)
    except FileNotFoundError:
        return None
    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        about = _About.model_validate_json((table.schema.metadata or {}).get(_KEY, b""))
        table = table.select([column.name for column in INJECTED_COLUMNS]).replace_schema_metadata(None)
    except StorageError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InjectedError(
            f"{uri}: cannot be read: {' '.join(str(error).split())[:200]}; `lensscan completeness` writes it again"
        ) from error
    return Injected(table, about.arguments, about.facts)


def nights_with_injected(root_uri: str) -> list[str]:
    """Return the sorted labels of the nights that have such a file.

    Raises:
        StorageError: the store failed.
    """
    return sorted(label_of_injected(file.uri) for file in list_files(join(root_uri, INJECTED)))


def current_injected(root_uri: str, night: str | None = None) -> Injected:
    """Return the injected lenses of a night, of the only one that has any by default.

    Raises:
        InjectedError: there are none, several nights have some and none is named, the night shows other scans by now, or the
            file is damaged.
        StorageError: the store failed.
    """
    labels = nights_with_injected(root_uri) if night is None else [night]
    if len(labels) > 1:
        raise InjectedError(f"{root_uri}: name one of the nights that have injected lenses: {', '.join(labels)}")
    injected = read_injected(root_uri, labels[0]) if labels else None
    if injected is None:
        of_night = f" into night {night}" if night else ""
        raise InjectedError(f"{root_uri}: no lenses were injected{of_night}; `lensscan completeness` does it")
    if not is_current(injected, shown_plans(root_uri, labels[0]).get(labels[0], [])):
        raise InjectedError(
            f"{root_uri}: night {labels[0]} shows other scans than those that lenses were injected into; run "
            "`lensscan completeness` again"
        )
    return injected


def is_current(injected: Injected, plans: Iterable[ShownPlan]) -> bool:
    """Return whether a night that shows these plans, newest first, is the one that the lenses were injected into."""
    return injected.arguments.shown == shown_state(plans)


class _About(Frozen):
    """Metadata of the file."""

    arguments: InjectionArguments
    facts: InjectionFacts
