"""Write the reference pages that follow from the code: commands, settings, columns of files, rejection codes."""

import ast
import inspect
import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from flows.cli import main
from infra.settings import Settings
from scanner.catalogue.columns import markdown_table
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
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
        "maps for rows that are no candidates.\n\n"
    )
    return head + markdown_table(names)


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
