"""The commands of `models`, which make and manage networks."""

from pathlib import Path

from cyclopts import App

from flows.cli.app import AtLeastTwo, Fraction, NotNegative, Positive, app

models = App(name="models", help="Ensembles of networks: list, show, import, restate, check their maps.")
app.command(models)

CALIBRATION_SEED = 27_000_002
"""Seed of the non-lenses that `models combine` simulates: no data set of this repository has it."""
SHOWN = {
    "name": "name",
    "good for": "purpose",
    "networks": "networks",
    "geometry": "geometry",
    "bands": "bands",
    "AUROC, own test": "auroc_own_test",
}
"""Columns of `models list` that fit a terminal, and their names in JSON."""


@models.command(name="list")
def list_models(*, json: bool = False) -> None:
    """List the ensembles that `--ensemble` accepts by name, and say what each is good for; `--json` adds their folders.

    AUROC: the chance that a lens has a higher score than a look-alike, with a 95 % interval, on the simulated objects of
    each ensemble's own test. These differ in difficulty: to compare ensembles, evaluate them on the same shards.

    For example: `lensscan models list`

    Args:
        json: Print JSON instead of a table.
    """
    from flows.commands.list_models import listed_models
    from flows.terminal import print_json, print_table

    rows = listed_models()
    if json:
        print_json(rows)
        return
    named = [{**row, "name": row["name"] + " (default)" * row["is_default"]} for row in rows]
    print_table("Ensembles", list(SHOWN), [{title: row[name] for title, name in SHOWN.items()} for row in named])


@models.command(name="show")
def show_model(name: str) -> None:
    """Print the card of an ensemble as JSON: inputs, weights, metrics, limits.

    For example: `lensscan models show mer3-sim`
    """
    from flows.terminal import print_json
    from infra.settings import Settings
    from scanner.networks.card_file import read_card
    from scanner.networks.locate import find_package

    print_json(read_card(find_package(name, Settings.read().ensembles_dir)).model_dump(mode="json"))


@models.command(name="import-published")
def import_published(folder: Path, *, name: str, json: bool = False) -> None:
    """Turn the seven published `.pt` files of Wilde et al. 2022 into an ensemble package.

    For example: `lensscan models import-published weights/ --name wilde2022`

    Args:
        folder: Folder with `OU_66_Weights.pt` and the six others.
        name: Name to give to `--ensemble` later.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines
    from infra.settings import Settings
    from scanner.networks import published
    from scanner.networks.locate import folder_for_new

    out = folder_for_new(name, Settings.read().ensembles_dir)
    card = published.import_published(folder, out, name)
    result = {"ensemble": card.name, "networks": ", ".join(n.name for n in card.networks), "folder": str(out)}
    print_json(result) if json else print_lines(result)


@models.command(name="check-maps")
def check_maps(
    shards: str, *, ensemble: str | None = None, n: AtLeastTwo = 200, out: str | None = None, json: bool = False
) -> None:
    """Test the attribution maps of an ensemble's networks on simulated lenses with known arcs.

    For each network and method (Guided Grad-CAM, Grad-CAM, occlusion) the command measures whether maps peak on the arc more
    often than maps of other lenses, the middle of the stamp and maps of untrained networks do; whether maps change with the
    weights, but not with a little added noise; and whether their highest pixels raise the lens probability. The results go
    into card.json, and as a table into CARD.md.

    For example: `lensscan models check-maps data/bright --ensemble mer3-sim`

    Args:
        shards: Folder or `s3://` prefix of shards of `lensscan simulate --components`, from a seed not used for training.
        ensemble: Name or folder of an ensemble; the configured one by default.
        n: Largest number of lenses with bright arcs to use; the slow measurements use a third of them.
        out: Local folder to write to, not that of the shards; by default the ensemble's, or evaluation-NAME in the working
            folder for a shipped ensemble.
        json: Print JSON instead of a table.
    """
    from flows.commands.check_maps import check_to_card, table_rows
    from flows.terminal import print_json, print_lines, print_table, terminal_progress

    with terminal_progress("checking maps", quiet=json) as report:
        checks, folder = check_to_card(shards, ensemble, n, out, report)
    if json:
        print_json({**checks.model_dump(mode="json"), "folder": str(folder)})
        return
    rows = table_rows(checks)
    print_table(f"{checks.n_bright_lenses} lenses with bright arcs", list(rows[0]), rows)
    print_lines({"failed checks, and more": str(folder / "CARD.md")})


@models.command(name="false-positives")
def false_positives(
    shards: str, *, out: str, ensemble: str | None = None, above: Fraction | None = None, json: bool = False
) -> None:
    """Copy the non-lenses that an ensemble takes for lenses, so that it can be trained on them.

    Simulate many non-lenses, copy the few that deceive the ensemble, and train on these and on the earlier shards together.
    After a kill, the same command scores all objects again and keeps the files that it wrote.

    For example: `lensscan models false-positives data/night --out data/train/deceptive`

    Args:
        shards: Folder or `s3://` prefix of shards with truth.
        out: Folder or `s3://` prefix for the copies alone, outside of the first.
        ensemble: Name or folder of an ensemble; the configured one by default.
        above: Smallest p_lens of the objects that are copied, before or after a candidate network corrects it; by default
            the ensemble's own threshold.
        json: Print JSON instead of text.
    """
    from flows.commands.false_positives import copy_for_training
    from flows.terminal import print_json, print_lines, terminal_progress

    with terminal_progress("scoring", quiet=json) as report:
        found = copy_for_training(shards, out, ensemble, above, report)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    folder = {"folder": found.folder} if found.n_copied else {}
    print_lines({"non-lenses": found.n_nonlenses, "p_lens at least": found.above, "copied": found.n_copied, **folder})


@models.command
def restate(ensemble: str, *, prevalence: float, name: str, compound_share: float | None = None, json: bool = False) -> None:
    """Copy a calibrated ensemble for another fraction of lenses: p_lens changes, its ranking does not.

    For example: `lensscan models restate mer3-sim --prevalence 1e-3 --name mine`

    Args:
        ensemble: Name or folder of an ensemble.
        prevalence: Fraction of lenses among the objects to score.
        name: Name of the copy, to give to `--ensemble` later.
        compound_share: Fraction of lenses that p_compound assumes to be compound; by default unchanged.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines
    from infra.settings import Settings
    from scanner.networks.locate import find_package, folder_for_new
    from scanner.networks.prevalence import with_prevalence

    settings = Settings.read()
    out = folder_for_new(name, settings.ensembles_dir)
    card = with_prevalence(find_package(ensemble, settings.ensembles_dir), out, name, prevalence, compound_share)
    if json:
        print_json({"ensemble": card.name, "assumed_prevalence": card.assumed_prevalence, "folder": str(out)})
        return
    print_lines({"ensemble": card.name, "lens fraction assumed": card.assumed_prevalence, "folder": str(out)})


@models.command
def combine(
    *members: str,
    natural: str,
    broad: str,
    name: str,
    first: str | None = None,
    candidates: str | None = None,
    second_opinion: str | None = None,
    turns: bool = True,
    nonlenses: NotNegative = 0,
    seed: NotNegative = CALIBRATION_SEED,
    margins: str | None = None,
    workers: Positive | None = None,
    json: bool = False,
) -> None:
    """Make an ensemble of networks that were trained one by one; with `--first`, a cascade.

    In a cascade one small network looks at every object, and a committee at those that it cannot exclude. Every stage is
    calibrated on natural draws. `p_lens` comes from the mean of the probabilities that the committee's networks give, or from
    the mean of their scores without the network that gives the lowest probability of a lens. In both ways, one network alone
    cannot make a lens a non-lens; the command chooses the way that finds more broad lenses. One network of the committee looks
    before the others: its early exit. The limits of first stage and early exit lose at most 0.5 % of the lenses that the
    committee would keep, natural and broad. With `--candidates`, one more network looks at the candidates alone, and tells
    single from compound lenses. Their `p_lens` is corrected, too, if that lowers the log loss of natural candidates that the
    correction is not fitted on. With `--second-opinion`, the networks of another ensemble correct it, too: they should err on
    other objects than the committee does.

    Few non-lenses look like a lens, so that a high `p_lens` rests on few objects. With `--nonlenses`, many more are simulated:
    every network sees them, and only its margins are kept. After a kill, the same command continues with the missing ones.

    For example: `lensscan models combine runs/sky runs/centre --first light --natural data/val --broad data/broad --name mine`

    Args:
        members: Ensembles, by name or folder. All their networks together are the new committee; if an ensemble is a cascade,
            only the networks of its committee are taken.
        first: Ensemble of one network, the first stage, or a cascade; without it the committee looks at every object.
        candidates: Ensemble of one network, as `lensscan train --preset candidates` or `--preset kind` makes it, or a cascade
            with a candidate network; without it the result has none. It sees each candidate in one to four orientations.
        second_opinion: Ensemble whose networks look at the candidates, too; of a cascade, those of its committee.
        natural: Folder or `s3://` prefix of shards of the preset `euclid` that no network was trained on.
        broad: Shards of the preset `broad` that no network was trained on.
        name: Name to give to `--ensemble` later.
        turns: Let the committee of a cascade see each object in two to four orientations: a little sharper, and as many times
            the cost.
        nonlenses: Number of non-lenses to simulate, in the shares of the preset `euclid`.
        seed: Seed of these objects, which must not be one that the networks were trained, calibrated or evaluated with.
        margins: Folder or `s3://` prefix of the margins on the way; by default margins-NAME in the working folder.
        workers: Number of processes that simulate; by default the setting `workers`.
        json: Print JSON instead of text.
    """
    from flows.commands.combine import SimulatedNonLenses, combine_packages
    from flows.commands.combine_text import combined_lines
    from flows.terminal import print_json, print_lines, terminal_progress
    from training.errors import TrainingError

    if not members:
        raise TrainingError("models combine needs the ensembles of the committee: name at least one")
    if not nonlenses and (seed != CALIBRATION_SEED or margins is not None or workers is not None):
        raise TrainingError("--seed, --margins and --workers need --nonlenses N: they are about the simulated non-lenses")
    more = SimulatedNonLenses(nonlenses, seed, margins, workers) if nonlenses else None
    with terminal_progress("scoring", quiet=json) as report:
        card, folder = combine_packages(
            members,
            first,
            natural,
            broad,
            name,
            report,
            turns=turns,
            candidates=candidates,
            second_opinion=second_opinion,
            more=more,
        )
    if not json:
        print_lines(combined_lines(card, str(folder)))
        return
    stage, early_exit, last = card.first, card.early_exit, card.candidate_stage
    print_json(
        {
            "ensemble": card.name,
            "networks": ", ".join(network.name for network in card.all_networks),
            **({"first stage excludes below": f"{stage.exclude_below:.2e}"} if stage else {}),
            **{key.replace("_", " "): f"{value:.4f}" for key, value in (stage.metrics if stage else {}).items()},
            **({f"early exit, {early_exit.network}, excludes below": f"{early_exit.exclude_below:.2e}"} if early_exit else {}),
            **{f"both {key.replace('_', ' ')}": f"{of:.4f}" for key, of in (early_exit.metrics if early_exit else {}).items()},
            **{f"candidates {key.replace('_', ' ')}": f"{of:.4f}" for key, of in (last.metrics if last else {}).items()},
            "default cut": card.candidate_threshold,
            **({"deep cut": card.deep_cut} if card.deep_cut is not None else {}),
            "folder": str(folder),
        }
    )


@models.command
def average(*ensembles: str, name: str, json: bool = False) -> None:
    """Average the weights of ensembles that were trained on from the same weights: often sharper, at the cost of one.

    Calibrate the result with `lensscan models combine`, which takes the stages of a cascade from it with
    `--first` and `--candidates`.

    For example: `lensscan models average mer3-cascade runs/mine --name average`

    Args:
        ensembles: Two or more ensembles, by name or folder, of the same networks.
        name: Name to give to `--ensemble` later.
        json: Print JSON instead of text.
    """
    from flows.commands.average import average_ensembles
    from flows.terminal import print_json, print_lines

    card, folder = average_ensembles(ensembles, name)
    result = {
        "ensemble": card.name,
        "networks": ", ".join(network.name for network in card.all_networks),
        "folder": str(folder),
    }
    print_json(result) if json else print_lines(result)
