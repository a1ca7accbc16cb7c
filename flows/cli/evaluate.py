"""The command `evaluate`: on shards with truth, or on objects with one thing changed."""

from typing import TYPE_CHECKING

from flows.cli.app import Positive, app

if TYPE_CHECKING:
    from training.evaluation.counterfactual_gate import CounterfactualGate
    from training.evaluation.probe_gate import ProbeReport


@app.command
def evaluate(
    shards: str | None = None,
    *,
    natural: str | None = None,
    counterfactuals: Positive | None = None,
    probes: Positive | None = None,
    strict: bool = False,
    ensemble: str | None = None,
    out: str | None = None,
    json: bool = False,
) -> None:
    """Evaluate an ensemble on simulated objects that it was not trained on, or on objects with one thing changed.

    The command writes evaluation.json, EVALUATION.md and plots of ROC, reliability and completeness: AUROC, recall at few false
    positives, objects to inspect per lens, F 0.03, precision, calibration, purity of cuts, recall by kind, Einstein radius,
    magnitude, colour, S/N and galaxies inside the ring, and the false positives of each look-alike, with intervals. The purity
    of cuts is also written on the card of an ensemble of your own; `rank` and `expected_purity` of its candidates come from
    there.

    With `--counterfactuals` it simulates lenses, changes one thing at a time (the source brighter, the ring larger or crowded,
    the deflector fainter, no arcs), and writes COUNTERFACTUALS.md and counterfactuals.json: what each change does to `p_lens`,
    and which limits are exceeded.

    With `--probes` it looks for biases: it simulates lenses of each kind and non-lenses, changes one thing at a time (colours,
    Einstein radius, ellipticity, crowding, PSF, noise, sky, place, orientation, flaws, shifted and missing bands), and writes
    PROBES.md and probes.json: the change of `p_lens`, of each kind and network, with limits. With `--strict` the command ends
    with exit code 1 if a limit of `--probes` or `--counterfactuals` is exceeded.

    For example: `lensscan evaluate data/test --ensemble runs/first/first`
    or: `lensscan evaluate data/broad --natural data/test`
    or: `lensscan evaluate --counterfactuals 160`
    or: `lensscan evaluate --probes 100 --strict`

    Args:
        shards: Folder or `s3://` prefix of shards with truth, from a seed that was not used for training.
        natural: Shards whose non-lenses set the thresholds of recall, to judge lenses that a natural mixture makes rare; by
            default the evaluated ones.
        counterfactuals: Number of lenses to change instead.
        probes: Number of objects of each kind to change instead.
        strict: End with exit code 1 if a limit is exceeded.
        ensemble: Name or folder of an ensemble; the configured one by default.
        out: Folder to write to; by default the ensemble's, or evaluation-NAME in the working folder for a shipped ensemble.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines, terminal_progress
    from training.errors import TrainingError

    changes = counterfactuals is not None or probes is not None
    if changes == (shards is not None):
        raise TrainingError("evaluate needs either shards, or --counterfactuals N or --probes N")
    if strict and not changes:
        raise TrainingError("--strict needs --counterfactuals N or --probes N: shards have no limits")
    if natural is not None and shards is None:
        raise TrainingError("--natural needs shards to evaluate")
    if shards is None:
        _evaluate_changes(counterfactuals, probes, ensemble, out, strict=strict, json=json)
        return
    from flows.commands.evaluate import evaluate_shards
    from training.evaluation.evaluation_text import shown

    with terminal_progress("evaluating", quiet=json) as report:
        evaluation, folder = evaluate_shards(shards, ensemble, out, report, natural)
    if json:
        print_json(evaluation.model_dump(mode="json"))
        return
    print_lines({**{name: shown(m) for name, m in evaluation.overall.items()}, "folder": str(folder)})


def _evaluate_changes(
    n_lenses: int | None, n_probed: int | None, ensemble: str | None, out: str | None, *, strict: bool, json: bool
) -> None:
    """Run the counterfactuals, the probes or both, and say which limits are exceeded."""
    from flows.terminal import print_json, print_text

    found: dict[str, CounterfactualGate | ProbeReport] = {}
    if n_lenses is not None:
        found["counterfactuals"] = _counterfactuals(n_lenses, ensemble, out, json=json)
    if n_probed is not None:
        found["probes"] = _probes(n_probed, ensemble, out, json=json)
    failures = [sentence for result in found.values() for sentence in result.failures]
    if json:
        dumped = {name: {**result.model_dump(mode="json"), "failures": result.failures} for name, result in found.items()}
        print_json(dumped if len(dumped) > 1 else next(iter(dumped.values())))
    else:
        for sentence in failures or ("Every limit is kept.",):
            print_text(sentence)
    if strict and failures:
        raise SystemExit(1)


def _counterfactuals(n: int, ensemble: str | None, out: str | None, *, json: bool) -> "CounterfactualGate":
    from flows.commands.counterfactuals import judge_counterfactuals
    from flows.terminal import print_table, print_text, terminal_progress

    with terminal_progress("changing lenses", quiet=json) as report:
        gate, folder = judge_counterfactuals(n, ensemble, out, report)
    if not json:
        rows = [
            {
                "change": effect.change,
                "median log-odds": f"{effect.median_change.value:+.2f}",
                "below the cut": f"{effect.below_cut.value:.3f}",
            }
            for effect in gate.effects
        ]
        print_table(f"One thing changed, lenses: {gate.n_lenses}", list(rows[0]), rows)
        print_text(f"folder  {folder}")
    return gate


def _probes(n: int, ensemble: str | None, out: str | None, *, json: bool) -> "ProbeReport":
    from flows.commands.probes import probe_ensemble
    from flows.terminal import print_table, print_text, terminal_progress

    with terminal_progress("probing", quiet=json) as report:
        probed, folder = probe_ensemble(n, ensemble, out, report)
    if not json:
        rows = [
            {
                "probe": effect.probe,
                "change of log-odds": f"{effect.lenses.median_change.value:+.2f}",
                "below the cut": f"{effect.lenses.below_before:.3f}, then {effect.lenses.below_after.value:.3f}",
                "limit": "exceeded" if effect.failures else "kept" if effect.limit else "",
            }
            for effect in probed.effects
        ]
        print_table(f"Bias probes, objects of each kind: {n}", list(rows[0]), rows)
        print_text(f"folder  {folder}")
    return probed
