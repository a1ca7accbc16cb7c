"""Write the reference pages that follow from the code: commands, settings, columns of files, rejection codes, presets."""

import inspect
import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pyarrow as pa

import lensscan
from flows.cli import main
from infra import json_logs
from infra.notes import notes_of
from infra.settings import Settings
from infra.store.s3_access import ANONYMOUS_BUCKETS
from scanner.catalogue.columns import RANK_COLUMNS, candidate_schema
from scanner.catalogue.runs import RunRecord
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.review.votes.graded_columns import GRADED_COLUMNS
from scanner.sources.shards import TRUTH_FIELDS
from scanner.vocabulary import rejections
from scanner.vocabulary.metrics import METRICS, WorkStage
from scanner.vocabulary.rejections import RejectCode
from scanner.vocabulary.skips import SKIP_ADVICE, SkipCode
from scanner.vocabulary.source_presets import MER_COLUMNS, SOURCE_PRESETS

VARIABLES = {
    json_logs.VARIABLE: f"`{json_logs.JSON}` writes logs as JSON to stderr, as `--log-json` does, in flows and workers too.",
    ANONYMOUS_BUCKETS: "Names of buckets, separated by commas, that are read without credentials, as `--anonymous` does.",
    "XDG_DATA_HOME": "Folder in which `lensscan/ensembles` holds ensembles, unless `ensembles_dir` is set; `~/.local/share`.",
    "XDG_CACHE_HOME": "Folder in which `lensscan/graphs` holds networks made ready for OpenVINO; `~/.cache`.",
    "AWS_ENDPOINT_URL_S3": "URL of the S3 store.",
    "AWS_ENDPOINT_URL": "The same, where `AWS_ENDPOINT_URL_S3` is not set. Credentials, profile and region have the usual "
    "variables, such as `AWS_PROFILE`.",
    "RAY_ADDRESS": "Ray cluster, unless `LENSSCAN_RAY_ADDRESS` is set; a job of Ray finds its own here.",
    "RAY_AUTH_TOKEN": "Token of the Ray cluster.",
    "RAY_AUTH_TOKEN_PATH": "File with this token; `~/.ray/auth_token`.",
    "RAY_USE_TLS": "`1` if the Ray cluster uses certificates.",
    "RAY_TMPDIR": "Folder for the files of a private Ray; `/tmp`.",
    "PREFECT_LOGGING_LEVEL": "Level of Prefect's own logs; a command shows none of them unless it is set.",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "The same for its inner logs.",
    "RAY_USAGE_STATS_ENABLED": "`0` unless you set it, so that Ray reports no usage.",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "`false` unless you set it, so that Prefect's server reports no usage.",
    "DO_NOT_TRACK": "`1` unless you set it, likewise.",
    "DISPLAY": "Where it or the next is set, and on macOS, `lensscan vet` opens a browser.",
    "WAYLAND_DISPLAY": "As the one before.",
}
"""Variables of the environment that are no settings, with their meaning; a default comes last."""


def write_reference(folder: Path) -> None:
    """Write the pages into a folder; files that are up to date stay untouched."""
    pages = {
        "commands.md": _commands(),
        "settings.md": _settings(),
        "columns.md": _columns(),
        "metrics.md": _metrics(),
        "rejections.md": _rejections(),
        "sources.md": _sources(),
        "truth.md": _truth(),
        "python.md": _python(),
    }
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _commands() -> str:
    names = [*_command_names()]
    sections = [f"## lensscan {name}\n\n```text\n{_help(name.split())}\n```\n" for name in names]
    return "# Commands\n\nThe text that `lensscan COMMAND --help` prints.\n\n" + "\n".join(sections)


def _command_names() -> Iterator[str]:
    for name in main.app:
        if name.startswith("-"):
            continue
        below = [child for child in main.app[name] if not child.startswith("-")]
        yield from (f"{name} {child}" for child in below) if below else [name]


def _help(words: list[str]) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        main.app.help_print(words)
    return out.getvalue().strip()


def _settings() -> str:
    notes = notes_of(Settings)
    rows = [f"| `{name}` | `LENSSCAN_{name.upper()}` | {notes[name]} |" for name in Settings.model_fields]
    head = (
        "# Settings\n\nA setting is read from the environment, then from a file `lensscan.toml` in the working folder.\n\n"
        "| in `lensscan.toml` | in the environment | meaning |\n|---|---|---|\n"
    )
    others = (
        "\n## Other variables of the environment\n\nThese have no place in `lensscan.toml`. Those of a deployment, such as "
        "`LENSSCAN_TILES`, stand on the pages [Scan every night](../howto/nightly.md), [Run everything on one machine]"
        "(../howto/deploy.md) and [Run under Slurm](../howto/slurm.md).\n\n| variable | meaning |\n|---|---|\n"
    )
    of_others = (f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    return head + "\n".join(rows) + "\n" + others + "\n".join(of_others) + "\n"


def _columns() -> str:
    names = [network.name for network in read_card(SHIPPED_DIR / "mer3-cascade").lens_networks]
    head = (
        "# Catalogue columns\n\nColumns of candidates and of unit files, with the networks of `mer3-cascade`. Unit files have "
        "no maps for rows that are no candidates, and no columns from `rank` on: these depend on the list that a row is in.\n\n"
        "| column | type, unit | meaning, UCD |\n|---|---|---|\n"
    )
    fields = [*candidate_schema(names, maps=True, embeddings=True), *(column.field() for column in RANK_COLUMNS)]
    graded = (
        "\n## Columns of grades\n\nWhat graders say: columns of `lensscan query --grades`, of `lensscan votes write`, and of "
        "the view `grades`. [Combine the votes of graders](../howto/votes.md) explains them.\n\n"
        "| column | type, unit | meaning, UCD |\n|---|---|---|\n"
    )
    rows, of_grades = (map(_column_row, part) for part in (fields, [column.field() for column in GRADED_COLUMNS]))
    return head + "\n".join(rows) + "\n" + graded + "\n".join(of_grades) + "\n"


def _column_row(field: pa.Field) -> str:
    about = {key.decode(): value.decode() for key, value in field.metadata.items()}
    kind = f"{field.type}, {about['unit']}" if about["unit"] else str(field.type)
    # Markdown would take `rejected:<code>` for a tag.
    meaning = about["description"].replace("<", "&lt;")
    return f"| `{field.name}` | {kind.replace('<', '&lt;')} | {meaning} `{about['ucd']}` |"


def _rejections() -> str:
    notes = notes_of(RejectCode)
    rows = [f"| `rejected:{code}` | {notes[code.name]} | {rejections.ADVICE[code]} |" for code in RejectCode]
    head = (
        "# Rejection codes\n\nA row that cannot be scored has one of these in `status`; `detail` gives the reason. A row that "
        "a selection of sources leaves out is `skipped`.\n\n"
    )
    skips = notes_of(SkipCode)
    rows += [f"| `{code.status}` | {skips[code.name]} | {SKIP_ADVICE[code]} |" for code in SkipCode]
    return head + "| status | meaning | what to do |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _metrics() -> str:
    """Return the table of metrics, the stages of the work, and the fields of a run's record."""
    head = (
        "# Metrics\n\nNumbers that a run reports: to Ray's own Prometheus endpoint, where names begin with `ray_`; to "
        "`metrics.prom`, if the setting `metrics_dir` names a folder; and to its record in the catalogue. Each has the tag "
        "`night`. [Operate](../howto/operate.md) shows how to read them.\n\n"
        "| metric | kind, unit | tags | meaning |\n|---|---|---|---|\n"
    )
    rows = [
        f"| `{metric.sample_name}` | {metric.kind}, {metric.unit} | {', '.join(map('`{}`'.format, metric.all_tags))} | "
        f"{metric.description} |"
        for metric in METRICS
    ]
    stages, fields = notes_of(WorkStage), notes_of(RunRecord)
    of_stages = "".join(f"- `{stage}`: {stages[stage.name]}\n" for stage in WorkStage)
    of_record = "".join(
        f"- `{name}`{': ' if name in fields else ''}{fields.get(name, '')}\n" for name in RunRecord.model_fields
    )
    return (
        head
        + "\n".join(rows)
        + "\n\n## Stages\n\n"
        + of_stages
        + "\n## Record of a run\n\nColumns of the files in `_scan/runs/`, one row each, in Parquet.\n\n"
        + of_record
    )


def _sources() -> str:
    """Return the presets of `--where`, and the columns that a catalogue carries by default."""
    rows = [f"| `{name}` | `{preset.condition}` | {preset.reason} |" for name, preset in SOURCE_PRESETS.items()]
    columns = ", ".join(f"`cat_{name}`" for name in MER_COLUMNS)
    return (
        "# Presets of sources\n\nConditions that have a name, for `lensscan scan --where NAME`. How to write others: "
        "[Select sources](../howto/select_sources.md).\n\n"
        "| name | condition | sources that meet it |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"Columns that unit files and candidates carry by default, where the tiles' catalogues have them: {columns}.\n"
    )


def _truth() -> str:
    rows = []
    for field in TRUTH_FIELDS:
        unit, description = (field.metadata[key].decode() for key in (b"unit", b"description"))
        rows.append(f"| `{field.name}` | {field.type}{', ' if unit else ''}{unit} | {description} |")
    head = (
        "# Truth columns\n\nColumns of simulated shards, and of `truth.parquet` of simulated tiles; null where one does not "
        "apply.\n\n"
    )
    return head + "| column | type, unit | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _python() -> str:
    """Return the functions of the Python API, then its classes with their fields, properties and methods."""
    public = {name: getattr(lensscan, name) for name in lensscan.__all__}
    functions = [_entry("##", f"lensscan.{name}", thing) for name, thing in public.items() if not inspect.isclass(thing)]
    classes = [_class(name, kind) for name, kind in public.items() if inspect.isclass(kind)]
    return "# Python\n\n```text\n" + inspect.cleandoc(lensscan.__doc__) + "\n```\n\n" + "\n".join(functions + classes)


def _class(name: str, kind: type) -> str:
    notes = {field: note for field, note in notes_of(kind).items() if not field.startswith("_")}
    fields = "".join(f"- `{field}`: {note}\n" for field, note in notes.items())
    own = {member: thing for member, thing in vars(kind).items() if not member.startswith("_") and inspect.getdoc(thing)}
    properties = "".join(f"- `{member}`: {thing.__doc__}\n" for member, thing in own.items() if isinstance(thing, property))
    methods = [_entry("###", f"{name}.{member}", thing) for member, thing in own.items() if inspect.isfunction(thing)]
    about = " ".join(inspect.cleandoc(kind.__doc__ or "").split())
    lists = f"\n{fields}{properties}" if fields or properties else ""
    return f"## lensscan.{name}\n\n{about}\n{lists}\n" + "\n".join(methods)


def _entry(level: str, name: str, function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    parameters = [p.replace(annotation=_Bare(p.annotation)) for p in signature.parameters.values() if p.name != "self"]
    shown = signature.replace(parameters=parameters, return_annotation=_Bare(signature.return_annotation))
    return f"{level} {name}\n\n```text\n{name}{shown}\n\n{inspect.getdoc(function)}\n```\n"


class _Bare:
    """An annotation that is shown without quotes and names of modules."""

    def __init__(self, annotation: object) -> None:
        self._text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)

    def __repr__(self) -> str:
        return re.sub(r"\b(?:\w+\.)+", "", self._text)
