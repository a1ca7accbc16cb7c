"""The commands of `lensscan reproduce`: pages that repeat what a paper says."""

from pathlib import Path

from cyclopts import App

from flows.cli.app import LocalPath, NotNegative, Positive, app

reproduction = App(name="reproduce", help="Repeat the tables and figures of a paper on simulations.")
app.command(reproduction)


@reproduction.command
def wilde2022(
    *,
    out: LocalPath = Path("wilde2022"),
    n: Positive = 20_000,
    seed: NotNegative = 2022,
    published: LocalPath | None = None,
    compound: LocalPath | None = None,
    ensemble: str = "ou7-sim",
    flagship: str = "mer3-cascade",
    steps: Positive = 5000,
    json: bool = False,
) -> None:
    """Make a page with the tables and figures of Wilde et al. (2022), our values beside them, and the selection function.

    The command simulates two data sets, scores them with the paper's networks and the flagship, and writes `wilde2022.md`,
    `wilde2022.json` with all numbers, and `figures/`. Pixels are not kept. After a kill, the same command goes on: finished
    objects and figures stay. Another seed or ensemble starts anew; a larger `--n` adds objects.

    For example: `lensscan reproduce wilde2022 --n 1000 --steps 500 --out wilde2022/`
    or: `lensscan reproduce wilde2022 --published weights/ --compound known/`

    Args:
        out: Folder to write to.
        n: Number of objects of each data set; 20 000 take some hours on one core.
        seed: Seed of the objects; no ensemble may have been trained or calibrated with it.
        published: Folder with the authors' seven weight files, `OU_66_Weights.pt` and so on.
        compound: Folder with `manifest.csv`, or the manifest, of known compound lenses: `object_id`, images of VIS, Y, J, H
            (one image may stand for several bands) and `pixel_scale_arcsec`.
        ensemble: Name or folder of an ensemble of the paper's networks.
        flagship: Name or folder of the ensemble to compare with, on its own images.
        steps: Most steps of each gradient ascent of figures 14 to 16; the paper has up to 5000.
        json: Print JSON instead of text.
    """
    from flows.commands.reproduce import reproduce
    from flows.terminal import missing, print_json, print_lines, terminal_progress

    made = missing(str(out))
    with terminal_progress("reproducing", quiet=json) as report:
        results = reproduce(out, n, seed, published, compound, ensemble, flagship, steps, report)
    if json:
        print_json(results.model_dump(mode="json"))
        return
    drawn = [picture for picture in results.pictures if picture.file]
    lines = {"objects": 2 * n, "figures": len(drawn), "page": str(out / "wilde2022.md"), "numbers": str(out / "wilde2022.json")}
    print_lines({**lines, **made})
