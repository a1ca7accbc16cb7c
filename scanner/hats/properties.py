"""Texts that readers of HATS look for: the properties of a version, and the list of its partitions."""

from datetime import datetime

import pyarrow as pa

from scanner.catalogue.columns import HEALPIX
from scanner.catalogue.known_lenses import KnownTable
from scanner.catalogue.map_columns import MAP_COLUMNS
from scanner.hats.manifest import Manifest
from scanner.hats.paths import NAME, ORDER

_PIXELS = frozenset({HEALPIX.name, *(column.name for column in MAP_COLUMNS)})


def properties_of(manifest: Manifest, schema: pa.Schema, sky_fraction: float) -> dict[str, str]:
    """Return the properties of a version whose leaves have the columns of `schema` together."""
    rows: dict[int, int] = {}
    for leaf in manifest.leaves:
        rows[leaf.pixel] = rows.get(leaf.pixel, 0) + leaf.n_rows
    made = datetime.fromisoformat(manifest.created)
    nights = sorted(manifest.nights)
    plans = sorted({plan for entry in manifest.nights.values() for plan in entry.plans})
    return {
        "obs_collection": NAME,
        "dataproduct_type": "object",
        "obs_description": "Candidate strong gravitational lenses of lensscan, each object once in a night",
        "obs_regime": "Optical Infrared",
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": HEALPIX.name,
        "hats_col_healpix_order": "29",
        "hats_cols_default": " ".join(name for name in schema.names if name not in _PIXELS),
        "hats_nrows": str(manifest.n_rows),
        "hats_max_rows": str(max(rows.values(), default=0)),
        "hats_order": str(ORDER),
        "hats_npix_suffix": "/",
        "hats_estsize": str(-(-manifest.n_bytes // 1024)),
        "hats_builder": "lensscan",
        "hats_creation_date": f"{made:%Y-%m-%dT%H:%M}UTC",
        "hats_release_date": "2025-08-22",
        "hats_version": "v1.0",
        "moc_sky_fraction": repr(sky_fraction),
        "lensscan_version": manifest.version,
        "lensscan_content": manifest.content,
        "lensscan_nights": " ".join(nights),
        "lensscan_plans": " ".join(plans),
        **_known(manifest.known),
    }


def encode_properties(properties: dict[str, str], comment: str) -> bytes:
    """Return a file of Java properties."""
    lines = [f"#{comment}", *(f"{name}={_escaped(value)}" for name, value in properties.items())]
    return ("\n".join(lines) + "\n").encode()


def decode_properties(data: bytes) -> dict[str, str]:
    """Return the properties in a file that `encode_properties` made."""
    lines = [line.partition("=") for line in data.decode("utf-8", "replace").splitlines() if line and not line.startswith("#")]
    return {name.strip(): value.strip().replace("\\\\", "\\") for name, _, value in lines}


def encode_partitions(manifest: Manifest) -> bytes:
    """Return the list of the partitions, one a line."""
    return "".join(["Norder,Npix\n", *(f"{ORDER},{pixel}\n" for pixel in manifest.pixels)]).encode()


def _known(table: KnownTable | None) -> dict[str, str]:
    if table is None:
        return {}
    return {
        "lensscan_known_lenses": table.name,
        "lensscan_known_lenses_version": table.version,
        "lensscan_known_lenses_limit_arcsec": f"{table.limit_arcsec:g}",
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
