"""The command that trains networks."""

from typing import Any

from flows.cli.app import AboveZero, AsFlow, LocalPath, Positive, app
from flows.cli.arguments import warn
from scanner.vocabulary.choices import TrainingPreset

GAIN_COLUMNS = ("objects", "ensemble", "lenses", "others", "AUROC", "recall at 1 %", "inspected at 50 %", "inspected at 75 %")


@app.command
def train(
    shards: str,
    *,
    out: LocalPath,
    name: str,
    preset: TrainingPreset = "laptop",
    epochs: Positive | None = None,
    learning_rate: AboveZero | None = None,
    start_from: str | None = None,
    networks: str | None = None,
    teacher: str | None = None,
    with_grades: str | None = None,
    workers: Positive = 1,
    flow: AsFlow = False,
    json: bool = False,
) -> None:
    """Train networks and their combiner, and write an ensemble package.

    After a kill, the same command continues from the last epoch.

    For example: `lensscan train data/train --out runs/first --name first`

    or: `lensscan train data/train --preset flagship --start-from mer3-sim --with-grades catalogue/ --epochs 3 --learning-rate
    2e-4 --out runs/graded --name graded`

    Args:
        shards: Folder or `s3://` prefix of shards with truth.
        out: Work folder: checkpoints, histories, learning curves, and the package in `out/NAME`.
        name: Name of the ensemble.
        preset: Networks to train. `flagship`: three small networks for 10 arcsec stamps of MER mosaics. Three presets train
            the networks of a cascade: `first_stage` trains the small network that looks at every object, `committee` trains
            seven larger networks, of which `--networks` chooses some, and `candidates` trains the network that looks at the
            candidates alone. That network learns from lenses and from the non-lenses that `lensscan models false-positives`
            copies. `kind` trains a network of the same architecture on lenses alone, to tell single from compound lenses.
            `paper`: the seven networks of Wilde et al. 2022, 250 epochs; `laptop`: the same seven, a few epochs.
        epochs: Number of epochs, instead of the preset's.
        learning_rate: Learning rate, instead of the preset's; its peak, if the schedule rises and falls.
        start_from: Ensemble, by name or folder, whose weights training starts from: for more training, or for one survey.
        networks: Names of some of the preset's networks, separated by commas; by default all.
        teacher: Ensemble, by name or folder, whose probabilities the networks learn beside the labels: a small network learns
            to agree with a large ensemble.
        with_grades: Catalogue whose graded objects the networks learn beside the shards, with `--start-from`: lenses, and
            objects that graders reject. Three in ten are held out; the result says how many objects people inspect for each
            lens before and after. Objects whose pixels are gone are left out, with a warning. A training that was killed goes
            on with the same grades; give a new name for new grades.
        workers: Number of processes that train a network together, each on its own GPU if the cluster has enough. One worker
            trains up to 20 000 objects in this process, without Ray.
        flow: Train as a Prefect flow.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines, print_table, terminal_progress

    options: dict[str, Any] = {
        "shards_uri": shards,
        "out": out,
        "name": name,
        "preset": preset,
        "epochs": epochs,
        "workers": workers,
        "start_from": start_from,
        "learning_rate": learning_rate,
        "networks": networks,
        "teacher": teacher,
        "with_grades": with_grades,
    }
    if flow:
        from flows.train import train as train_flow

        result = train_flow(**options)
    else:
        from flows.commands.train import train_package

        with terminal_progress("training", quiet=json) as report:
            result = train_package(progress=report, **options)
    if result.left_out is not None:
        warn(result.left_out.warning)
    if result.gain is not None and result.gain.graded.n_objects == 0:
        warn("no graded object is held out, so what the grades have gained on such objects is unknown; grade more objects")
    if json:
        print_json(result.model_dump(mode="json"))
        return
    shown = {"ensemble": result.ensemble, "package": result.package, "test AUROC": f"{result.test_auroc:.3f}"}
    print_lines({**shown, **({"calibration": result.uncalibrated} if result.uncalibrated else {})})
    if result.gain is not None:
        from flows.commands.gain_text import gain_rows

        print_table("Before and after the grades", GAIN_COLUMNS, gain_rows(result.gain))
