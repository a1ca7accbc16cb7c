"""The command `evaluate`: on shards with truth, or on lenses with one thing changed."""

from flows.cli.app import Positive, app


@app.command
def evaluate(
    shards: str | None = None,
    *,
    natural: str | None = None,
    counterfactuals: Positive | None = None,
    ensemble: str | None = None,
    out: str | None = None,
    json: bool = False,
) -> None:
    """Evaluate an ensemble on simulated objects that it was not trained on, or on lenses with one thing changed.

    The command writes evaluation.json, EVALUATION.md and plots of ROC, reliability and completeness: AUROC, recall at few false
    positives, objects to inspect per lens, F 0.03, precision, calibration, purity of cuts, recall by kind, Einstein radius,
    magnitude, colour, S/N and galaxies inside the ring, and the false positives of each look-alike, with intervals. The purity
    of cuts is also written on the card of an ensemble of your own; `rank` and `expected_purity` of its candidates come from
    there.

    With `--counterfactuals` it simulates lenses, changes one thing at a time (the source brighter, the ring larger or crowded,
    the deflector fainter, no arcs), and writes COUNTERFACTUALS.md: what each change does to `p_lens`, and which limits are
    exceeded. The command then ends with exit code 1 if there is one.

    For example: `lensscan evaluate data/test --ensemble runs/first/first`
    or: `lensscan evaluate data/broad --natural data/test`
    or: `lensscan evaluate --counterfactuals 160`

    Args:
        shards: Folder or `s3://` prefix of shards with truth, from a seed that was not used for training.
        natural: Shards whose non-lenses set the thresholds of recall, to judge lenses that a natural mixture makes rare; by
            default the evaluated ones.
        counterfactuals: Number of lenses to change instead.
        ensemble: Name or folder of an ensemble; the configured one by default.
        out: Folder to write to; by default the ensemble's, or evaluation-NAME in the working folder for a shipped ensemble.
        json: Print JSON instead of text.
    """
    from flows.terminal import print_json, print_lines, terminal_progress
    from training.errors import TrainingError

    if counterfactuals is not None and shards is None:
        _evaluate_counterfactuals(counterfactuals, ensemble, out, json=json)
        return
    if counterfactuals is not None or shards is None:
        raise TrainingError("evaluate needs either shards or --counterfactuals N")
    from flows.commands.evaluate import evaluate_shards
    from training.evaluation.evaluation_text import shown

    with terminal_progress("evaluating", quiet=json) as report:
        evaluation, folder = evaluate_shards(shards, ensemble, out, report, natural)
    if json:
        print_json(evaluation.model_dump(mode="json"))
        return
    print_lines({**{name: shown(m) for name, m in evaluation.overall.items()}, "folder": str(folder)})


def _evaluate_counterfactuals(n: int, ensemble: str | None, out: str | None, *, json: bool) -> None:
    from flows.commands.counterfactuals import judge_counterfactuals
    from flows.terminal import print_json, print_table, print_text, terminal_progress

    with terminal_progress("changing lenses", quiet=json) as report:
        gate, folder = judge_counterfactuals(n, ensemble, out, report)
    if json:
        print_json(gate.model_dump(mode="json"))
    else:
        rows = [
            {
                "change": effect.change,
                "median log-odds": f"{effect.median_change.value:+.2f}",
                "below the cut": f"{effect.below_cut.value:.3f}",
            }
            for effect in gate.effects
        ]
        print_table(f"One thing changed, lenses: {gate.n_lenses}", list(rows[0]), rows)
        for sentence in gate.failures or ("Every limit is kept.",):
            print_text(sentence)
        print_text(f"folder  {folder}")
    if not gate.passes:
        raise SystemExit(1)
