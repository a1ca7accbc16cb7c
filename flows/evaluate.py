"""The Prefect flow that evaluates an ensemble."""

from pathlib import Path

from prefect import flow

from flows.artifacts import flow_progress, show_summary
from flows.commands.evaluate import evaluate_shards
from flows.retries import retried
from infra.frozen import Frozen
from training.evaluation.evaluation_text import shown


class EvaluateResult(Frozen):
    """Folder with the evaluation, and its main numbers in words."""

    folder: Path
    overall: dict[str, str]


@flow(name="evaluate", persist_result=True, result_serializer="json")
def evaluate(
    shards_uri: str, ensemble: str | None = None, out: str | None = None, natural_uri: str | None = None
) -> EvaluateResult:
    """Evaluate an ensemble on shards with truth, as `lensscan evaluate` does.

    Another try, which measures all anew, follows an error of the store, and no other.

    Args:
        shards_uri: Folder or `s3://` prefix of shards, from a seed that was not used for training.
        ensemble: Name or folder of the ensemble; the configured one by default.
        out: Folder to write to; by default the ensemble's, or `evaluation-NAME` for a shipped one.
        natural_uri: Shards whose non-lenses set the thresholds of recall; by default the evaluated ones.
    """
    with flow_progress("evaluate", f"Objects scored of {shards_uri}") as progress:
        evaluation, folder = retried("evaluate", lambda: evaluate_shards(shards_uri, ensemble, out, progress, natural_uri))
    overall = {name: shown(measured) for name, measured in evaluation.overall.items()}
    rows = "\n".join(f"| {name} | {value} |" for name, value in overall.items())
    show_summary("evaluation", f"# Evaluation in `{folder}`\n\n| | |\n| --- | --- |\n{rows}\n", "Measures of the ensemble")
    return EvaluateResult(folder=folder.absolute(), overall=overall)
