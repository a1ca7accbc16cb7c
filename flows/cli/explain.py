"""The `explain` command."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.cli.app import LocalPath, Positive, app


@app.command
def explain(
    *images: str,
    out: LocalPath,
    objects: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    survey: str | None = None,
    bands: str | None = None,
    ensemble: str | None = None,
    networks: str | None = None,
    portrait: bool = False,
    steps: Positive | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Draw pictures of some objects, VIS without the galaxy, and attribution maps: occlusion maps and Guided Grad-CAM.

    In occlusion maps blue squares support a lens (hiding them lowers its probability), red ones count against a lens, white
    ones change nothing. Guided Grad-CAM is bright where pixels raise the score. All maps of a figure have the scales that its
    colour bars state; the mean of the networks comes first. Lines show where VIS is bright. Every `p_lens`, of the ensemble
    and of its networks, is given for the fraction of lenses that the ensemble assumes.

    With `--portrait` the networks themselves are drawn: their first kernels, class generated images, images that excite
    kernels and, if images are given, Deep Dreams of the objects with the highest and the lowest `p_lens`. This takes minutes,
    for the largest networks a quarter of an hour; `--steps 200` gives a quick look.

    For example: `lensscan explain a.fits --out why.png`
    or: `lensscan explain manifest.csv --objects 17,18 --out why.png`
    or: `lensscan explain tiles/ --objects 2684100312,2684100777 --out why.pdf --ensemble mer3-sim`
    or: `lensscan explain catalogue/ --objects "EUCL J160229.19-200158.0" --out why.png`
    or: `lensscan explain --portrait --networks OU-200 --ensemble ou7-sim --out portrait.pdf`

    Args:
        images: FITS files, folders of them or manifests, as for `lensscan score`; or a folder or `s3://` prefix of tiles, of
            shards or of a catalogue.
        out: The figure, PNG or PDF.
        objects: Object ids, of a catalogue also candidate ids, separated by commas, such as 17,18; by default all of manifests
            and FITS files, at most 24.
        survey: Survey that tiles are of: a name of `lensscan surveys`, or a TOML file that describes it.
        bands: Bands of the planes of arrays and FITS cubes, in order, separated by commas, as for `lensscan score`.
        ensemble: Name or folder; the configured one by default.
        networks: Names, separated by commas; by default those that read the most bands, at most three.
        portrait: Draw the networks; images are not needed.
        steps: Largest number of steps for each image of a portrait; by default 5000, and 1000 for kernels and Deep Dreams.
        overwrite: Replace the figure if it exists.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines, print_table, print_text, terminal_progress

    _check_new(out, overwrite=overwrite)
    wanted = [] if objects is None else _ids(objects)
    chosen = None if networks is None else [name.strip() for name in networks.split(",") if name.strip()]
    with terminal_progress("drawing" if portrait else "explaining", quiet=json) as report:
        if portrait:
            from flows.commands.portray import portray_to_file

            summary = portray_to_file(images, out, wanted, ensemble, chosen, steps, report, survey, bands)
        else:
            from flows.commands.explain import ExplainError, explain_to_file

            if not images:
                raise ExplainError("name images: FITS files, a manifest, or a folder of tiles; only --portrait works without")
            if steps is not None:
                raise ExplainError("--steps needs --portrait")
            summary = explain_to_file(images, out, wanted, ensemble, chosen, report, survey, bands)
    if json:
        print_json(summary)
        return
    title = "class generated images" if portrait else _title(summary["prevalence"])
    rows = _rows_of_portraits(summary) if portrait else _rows_of_objects(summary)
    print_table(f"{summary['figure']}: {title}", list(rows[0]), rows)
    if not portrait and summary["prevalence"] is not None:
        print_lines({name: of_object["prior"] for name, of_object in summary["objects"].items()})
    for note in summary.get("guessed", ()):
        print_text(note)
    if summary.get("notes"):
        print_lines({f"{name}, note": note for name, note in summary["notes"].items()})
    if summary["rejected"]:
        print_table("rejected", ("object", "why"), [{"object": name, "why": why} for name, why in summary["rejected"].items()])


def _title(prevalence: float | None) -> str:
    """Return the heading of the table, which names the one prior of all its probabilities."""
    from scanner.vocabulary.prior import prior_text

    prior = "p_lens is not calibrated" if prevalence is None else f"p_lens if {prior_text(prevalence)}"
    return f"{prior}; strongest evidence in arcsec from the middle"


def _check_new(out: Path, *, overwrite: bool) -> None:
    """Check that no file is replaced unasked.

    Raises:
        ExplainError: there is such a file.
    """
    from flows.commands.explain import ExplainError

    if out.is_file() and not overwrite:
        raise ExplainError(f"--out {out} exists; it is not replaced without --overwrite")


def _ids(objects: str) -> list[str]:
    """Return the ids in a list of `--objects`.

    Raises:
        ObjectsError: it is empty.
    """
    from scanner.scan.chosen_objects import ObjectsError

    found = [name.strip() for name in objects.split(",") if name.strip()]
    if not found:
        raise ObjectsError(f"--objects must be ids separated by commas, no object is named in {objects!r}")
    return found


def _rows_of_objects(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return table rows with the columns that fit into a narrow terminal."""
    shown = {"p_lens": "p_lens", "occlusion": "strongest_occlusion_arcsec", "guided": "strongest_guided_arcsec"}
    return [
        {"object": name, "network": network, **{column: _none_for_null(numbers, key) for column, key in shown.items()}}
        for name, of_object in summary["objects"].items()
        for network, numbers in {summary["ensemble"]: of_object, **of_object["networks"]}.items()
    ]


def _none_for_null(numbers: dict[str, Any], key: str) -> Any:
    """Return "none" if no pixel supports a lens, and None for the ensemble itself, which has no maps."""
    return "none" if key in numbers and numbers[key] is None else numbers.get(key)


def _rows_of_portraits(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"network": network, "towards": name, "p": p}
        for network, of_network in summary["networks"].items()
        for name, p in of_network["class_generated"].items()
    ]
