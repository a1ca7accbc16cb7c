"""`lensscan score`: a manifest in, a Parquet file out."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from infra.errors import LensscanError
from infra.settings import Settings
from scanner.networks.locate import find_package
from scanner.networks.package import load_package
from scanner.pixels.manifests import Progress
from scanner.scan import CutoutScanner, score_manifest


class ScoringError(LensscanError):
    """A place where scores cannot be written."""


def score_to_file(
    manifest_uri: str, out: str, ensemble: str | None, batch_size: int, progress: Progress
) -> dict[str, str | int]:
    """Score every row of the manifest into the Parquet file `out`, which appears only when complete."""
    if "://" in out:
        raise ScoringError(f"--out must be a local file, got {out}")
    settings = Settings.read()
    scanner = CutoutScanner(load_package(find_package(ensemble or settings.ensemble, settings.ensembles_dir)), batch_size)
    table = score_manifest(manifest_uri, scanner, progress)
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    pq.write_table(table, part, compression="zstd", write_page_checksum=True)
    part.replace(target)
    counts = Counter(table["status"].to_pylist())
    return {"rows": table.num_rows, **dict(sorted(counts.items())), "file": str(target)}
