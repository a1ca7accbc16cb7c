"""`lensscan score`: score a manifest into a Parquet file."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.ensembles import chosen_package
from infra.engine_name import EngineName
from infra.errors import LensscanError
from infra.progress import Progress
from infra.settings import Settings
from infra.store.files import replace_whole
from scanner.networks.engines import resolve_engine
from scanner.networks.package import load_package
from scanner.scan.manifest import score_manifest
from scanner.scan.scoring import RECORDED_PRECISION, CutoutScanner


class ScoringError(LensscanError):
    """The scores cannot be written to the given path."""


_ENSEMBLE_KEY = b"lensscan.ensemble"
_SHA256_KEY = b"lensscan.ensemble_sha256"


def score_to_file(
    manifest_uri: str, out: str, ensemble: str | None, batch_size: int, progress: Progress, engine: EngineName | None = None
) -> dict[str, str | int]:
    """Score every row of the manifest into the Parquet file `out`, which appears only when complete.

    The file's metadata name the ensemble and its SHA-256.

    Raises:
        ScoringError: `out` is not a local file, or exists and is not a file of scores.
    """
    target = Path(out)
    _check_target(target, out)
    package = load_package(chosen_package(ensemble), resolve_engine(engine or Settings.read().engine), RECORDED_PRECISION)
    table = score_manifest(manifest_uri, CutoutScanner(package, batch_size), progress)
    origin = {_ENSEMBLE_KEY: package.name.encode(), _SHA256_KEY: package.sha256.encode()}
    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_whole(target) as part:
        pq.write_table(table.replace_schema_metadata(origin), part, compression="zstd", write_page_checksum=True)
    counts = Counter(table["status"].to_pylist())
    return {"ensemble": package.name, "rows": table.num_rows, **dict(sorted(counts.items())), "file": str(target)}


def _check_target(target: Path, out: str) -> None:
    """Check before scoring that `out` replaces a file of scores only, never a manifest or an image through a typing error."""
    if "://" in out:
        raise ScoringError(f"--out must be a local file, got {out}")
    if not target.exists():
        return
    try:
        is_scores = _ENSEMBLE_KEY in (pq.read_schema(target).metadata or {})
    except (pa.ArrowInvalid, OSError):
        is_scores = False
    if not is_scores:
        raise ScoringError(f"--out {out} exists and is not a file of scores; it is not replaced")
