"""The command that says why: explain."""

from pathlib import Path
from typing import Any

from flows.app import app


@app.command
def explain(
    images: str,
    *,
    out: Path,
    objects: str = "",
    ensemble: str | None = None,
    networks: str | None = None,
    json: bool = False,
) -> None:
    """Draw what the networks see in some objects: occlusion maps and Guided Grad-CAM beside colour pictures.

    In occlusion maps, blue pixels support a lens (hiding them makes it less likely), red ones speak against it; each map is
    scaled on its own. Of Guided Grad-CAM, the picture's pixels are shown where it is at least 0.05 of its highest.

    For example: `lensscan explain manifest.csv --out why.png`
    or: `lensscan explain tiles/ --objects 2684100312,2684100777 --out why.pdf --ensemble mer3-sim`

    Args:
        images: Manifest (CSV or Parquet, as for `lensscan score`), or folder or `s3://` prefix of tiles or shards.
        out: The figure, PNG or PDF.
        objects: Their ids, separated by commas; by default all of a manifest.
        ensemble: Name or folder; the configured one by default.
        networks: Names, separated by commas; by default those that read the most bands, at most three.
        json: Print JSON instead of text.
    """
    from flows.explaining import explain_to_file
    from flows.terminal import print_json, print_table, terminal_progress

    wanted = [name.strip() for name in objects.split(",") if name.strip()]
    chosen = None if networks is None else [name.strip() for name in networks.split(",") if name.strip()]
    with terminal_progress("explaining", quiet=json) as report:
        found = explain_to_file(images, out, wanted, ensemble, chosen, report)
    if json:
        print_json(found)
        return
    rows = [
        {"object": name, "network": network, **_row(numbers)}
        for name, said in found["objects"].items()
        for network, numbers in {found["ensemble"]: said, **said["networks"]}.items()
    ]
    print_table(f"{found['figure']}: strongest evidence, arcsec from the middle", list(rows[0]), rows)
    if found["rejected"]:
        print_table(
            "not looked at", ("object", "why"), [{"object": name, "why": why} for name, why in found["rejected"].items()]
        )


def _row(numbers: dict[str, Any]) -> dict[str, Any]:
    """What fits into a narrow terminal."""
    shown = {"p_lens": "p_lens", "occlusion": "strongest_occlusion_arcsec", "guided": "strongest_guided_arcsec"}
    return {column: numbers.get(name) for column, name in shown.items()}
