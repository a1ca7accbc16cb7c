"""Write the reference pages that follow from the code: commands, settings, columns of files, rejection codes."""

import ast
import inspect
import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pyarrow as pa

from flows.cli import main
from infra.settings import Settings
from scanner.catalogue.columns import RANK_COLUMNS, candidate_schema
from scanner.networks.locate import SHIPPED_DIR
from scanner.networks.package import read_card
from scanner.sources.shards import TRUTH_FIELDS
from scanner.vocabulary import rejections
from scanner.vocabulary.rejections import RejectCode


def write_reference(folder: Path) -> None:
    """Write the pages into a folder; files that are up to date stay untouched."""
    pages = {
        "commands.md": _commands(),
        "settings.md": _settings(),
        "columns.md": _columns(),
        "rejections.md": _rejections(),
        "truth.md": _truth(),
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
    notes = _notes(Settings)
    rows = [f"| `{name}` | `LENSSCAN_{name.upper()}` | {notes[name]} |" for name in Settings.model_fields]
    head = (
        "# Settings\n\nA setting is read from the environment, then from a file `lensscan.toml` in the working folder.\n\n"
        "| in `lensscan.toml` | in the environment | meaning |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _columns() -> str:
    names = [network.name for network in read_card(SHIPPED_DIR / "mer3-sim").networks]
    head = (
        "# Catalogue columns\n\nColumns of candidates and of unit files, with the networks of `mer3-sim`. Unit files have no "
        "maps for rows that are no candidates, and no columns from `rank` on: these depend on the list that a row is in.\n\n"
        "| column | type, unit | meaning, UCD |\n|---|---|---|\n"
    )
    fields = [*candidate_schema(names, maps=True), *(column.field() for column in RANK_COLUMNS)]
    return head + "\n".join(map(_column_row, fields)) + "\n"


def _column_row(field: pa.Field) -> str:
    about = {key.decode(): value.decode() for key, value in field.metadata.items()}
    kind = f"{field.type}, {about['unit']}" if about["unit"] else str(field.type)
    # Markdown would take `rejected:<code>` for a tag.
    meaning = about["description"].replace("<", "&lt;")
    return f"| `{field.name}` | {kind.replace('<', '&lt;')} | {meaning} `{about['ucd']}` |"


def _rejections() -> str:
    notes = _notes(RejectCode)
    rows = [f"| `rejected:{code}` | {notes[code.name]} | {rejections.ADVICE[code]} |" for code in RejectCode]
    head = "# Rejection codes\n\nA row that cannot be scored has one of these in `status`; `detail` gives the reason.\n\n"
    return head + "| status | meaning | what to do |\n|---|---|---|\n" + "\n".join(rows) + "\n"


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


def _notes(kind: type) -> dict[str, str]:
    """Name of each field or member of a class to the string that stands below it."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    found: dict[str, str] = {}
    name = ""
    for node in definition.body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign | ast.Assign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            name = target.id if isinstance(target, ast.Name) else ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = " ".join(str(node.value.value).split())
            name = ""
    return found
