"""The terminal shows text to people and JSON to programs."""

import ast
import io
import json
import re
import sys
import time
from pathlib import Path

import pytest

import flows
from flows.cli.arguments import complain, warn
from flows.progress_bar import NamingBar, bar_texts
from flows.terminal import missing, print_json, print_lines, print_table, print_text, terminal_progress
from infra.progress import no_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_json_has_null_for_numbers_that_json_lacks(capsys):
    print_json({"a": [float("nan"), 1.5], "b": {"c": (float("inf"), 2)}, "d": "NaN"})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": {"c": [None, 2]}, "d": "NaN"}


def test_lines_are_aligned_by_their_longest_name(capsys):
    print_lines({"rows": 3, "candidates": 1})
    assert capsys.readouterr().out == "rows        3\ncandidates  1\n"


def test_folders_that_a_command_makes_are_named(tmp_path):
    assert missing(str(tmp_path / "new" / "er")) == {"made folder": str(tmp_path / "new" / "er")}
    assert missing(str(tmp_path)) == missing("s3://bucket/new") == {}


def test_no_control_character_reaches_a_terminal(capsys):
    hostile = "\x1b[2J\x1b]0;PWN\x07\x9b\r\u202e"
    print_table(hostile, ["text"], [{"text": hostile}])
    print_text(f"{hostile}\n\tnext")
    print_lines({"a": hostile})
    complain(hostile)
    warn(hostile)
    out, err = capsys.readouterr()
    assert out.count(r"\x1b[2J\x1b]0;PWN\x07\x9b") == 4
    assert err.count(r"\x1b[2J\x1b]0;PWN\x07\x9b\r\u202e") == 2
    assert "\n\tnext\n" in out
    assert not {*(out + err)} & {*"\x1b\x07\x9b\r\u202e"}


def test_a_bar_shows_the_steps_done_on_stderr_only(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with terminal_progress("scanning") as report:
        report(3, 7)
        report(7, 7)
    assert "scanning" in sys.stderr.getvalue()
    assert "7/7" in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


def test_a_bar_shows_no_unknown_number_and_names_the_work(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    with terminal_progress("scanning") as report:
        report(1200, 5000, ["102018211", "102018212"])
        time.sleep(0.2)
    drawn = sys.stderr.getvalue()
    assert "preparing" in drawn
    assert "1,200/5,000" in drawn
    assert "at work: 102018211, 102018212" in drawn
    assert "?" not in re.sub(r"\x1b\[\?25[lh]", "", drawn)


def test_the_rate_counts_from_the_first_progress_on():
    now = iter([10.0, 12.0, 20.0])
    text = bar_texts(lambda: next(now))
    assert text(4000, 5000) == "4,000/5,000"
    assert text(4000, 5000) == "4,000/5,000"
    assert text(4500, 5000) == "4,500/5,000  62.5/s"


def test_four_names_are_shown_and_the_rest_counted():
    bar = NamingBar()
    bar.at_work = tuple("abcdef")
    assert [str(shown) for shown in bar.get_renderables()][1:] == ["at work: a, b, c, d and 2 more"]


def test_no_command_draws_a_bar_beside_json():
    """Every call of `terminal_progress` in a command with `--json` passes the option on."""
    found = {}
    for path in (Path(flows.__file__).parent / "cli").glob("*.py"):
        for function in (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)):
            options = {argument.arg for argument in function.args.args + function.args.kwonlyargs} & {"json", "as_json"}
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            for call in (call for call in calls if ast.unparse(call.func) == "terminal_progress"):
                passed = {ast.unparse(word.value) for word in call.keywords if word.arg == "quiet"}
                found[f"{path.name} {function.name}"] = options == passed
    assert len(found) > 20
    assert not [name for name, passes_it in found.items() if not passes_it]


@pytest.mark.parametrize(("stream", "quiet"), [(Terminal, True), (io.StringIO, False)])
def test_no_bar_is_drawn_if_no_person_reads_it(monkeypatch, stream, quiet):
    monkeypatch.setattr(sys, "stderr", stream())
    with terminal_progress("scanning", quiet=quiet) as report:
        assert report is no_progress
        report(1, 2)
    assert sys.stderr.getvalue() == ""
