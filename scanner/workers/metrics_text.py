"""Write the metrics of a run in Prometheus' text format 0.0.4, as the textfile collector of node_exporter reads it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.store.files import replace_whole
from scanner.catalogue.runs import RunRecord
from scanner.vocabulary import metrics
from scanner.vocabulary.metrics import METRICS, NIGHT, Metric

FILE_NAME = "metrics.prom"
Samples = dict[Metric, dict[tuple[str, ...], float]]
"""Values of each metric by the values of its tags, without the night."""


def samples_of(record: RunRecord, oldest_unpromoted_s: float | None, progress: float) -> Samples:
    """Return the values of a run's metrics; what is unknown is left out."""
    found: Samples = {
        metrics.UNITS_FAILED: {(): record.units_failed},
        metrics.STAGE_SECONDS: {(stage,): seconds for stage, seconds in record.stage_seconds.items()},
        metrics.STORE_RETRIES: {(): record.store_retries},
        metrics.WORKER_DEATHS: {(): record.worker_deaths},
        metrics.NIGHT_PROGRESS: {(): progress},
    }
    if record.units_committed is not None:
        found[metrics.UNITS_COMMITTED] = {(): record.units_committed}
    if record.rows_scored is not None:
        found[metrics.ROWS_SCORED] = {(): record.rows_scored}
    if record.rows_rejected is not None:
        found[metrics.ROWS_REJECTED] = {(code,): n for code, n in record.rows_rejected.items()}
    if record.candidates is not None:
        found[metrics.CANDIDATES] = {(): record.candidates}
    if oldest_unpromoted_s is not None:
        found[metrics.OLDEST_UNPROMOTED_NIGHT] = {(): oldest_unpromoted_s}
    return found


def metrics_text(samples: Samples, night: str) -> str:
    """Return the text of the samples of a night, in the order of the table of metrics."""
    return "".join(line + "\n" for metric in METRICS for line in _lines(metric, samples.get(metric, {}), night))


def write_metrics(folder: Path, text: str) -> None:
    """Write the file of metrics in place of the last one; a reader sees either of them whole.

    Raises:
        OSError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replace_whole(folder / FILE_NAME) as part:
        part.write_text(text, encoding="utf-8")
        # The collector may run as another user.
        part.chmod(0o644)


def _lines(metric: Metric, values: Mapping[tuple[str, ...], float], night: str) -> Iterator[str]:
    if not values:
        return
    yield f"# HELP {metric.sample_name} {metric.description}"
    yield f"# TYPE {metric.sample_name} {metric.kind}"
    for tags, value in sorted(values.items()):
        named = zip((NIGHT, *metric.tags), (night, *tags), strict=True)
        labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in named)
        yield f"{metric.sample_name}{{{labels}}} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
