"""Arguments that every command takes: whole numbers, lists with spaces, `--verbose`, and the command `help`."""

import logging
import re
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from flows.cli.app import app
from flows.cli.arguments import prepared, told
from flows.cli.main import _run
from flows.cli.mistakes import one_line_about
from infra.errors import LensscanError
from infra.json_logs import LOGGERS
from infra.steps import _listeners


@pytest.fixture
def quiet_after():
    """Undo what `--verbose` sets."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in loggers]
    listeners = list(_listeners)
    yield
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers
    _listeners[:] = listeners


@pytest.mark.parametrize(
    ("word", "number"), [("1e3", 1000), ("1_000", 1000), ("7", 7), ("2.0", 2), ("9007199254740993", 9007199254740993)]
)
def test_whole_numbers_may_be_written_in_several_ways(word, number):
    _, bound, _ = app.parse_args(["simulate", "--out", "x", "--n", word], exit_on_error=False, print_error=False)
    assert bound.arguments["n"] == number


OPTIONS = {
    "simulate --out x": ("--n", "--seed", "--workers"),
    "inject m.csv --out x": ("--n", "--seed"),
    "train x --out y --name z": ("--epochs", "--workers"),
    "score m.csv --out x": ("--batch-size",),
    "scan t --out x --night 2026-01-01": ("--maps", "--workers"),
    "plan t": ("--units", "--workers"),
    "query c": ("--limit",),
    "explain m.csv --out x.png": ("--steps",),
    "models check-maps s": ("--n",),
}


@pytest.mark.parametrize(("command", "option"), [(command, o) for command, options in OPTIONS.items() for o in options])
@pytest.mark.parametrize("word", ["5.5", "many", "inf", "nan", "1e-1", ""])
def test_other_numbers_are_refused(command, option, word):
    with pytest.raises(CycloptsError) as raised:
        app([*command.split(), option, word])
    line = one_line_about(raised.value)
    assert line.startswith(
        f"Invalid value for {option}: must be a whole number, such as 1000, 1e3 or 1_000, got {word}".strip()
    )


@pytest.mark.parametrize("command", ["scan t --out x", "plan t"])
def test_a_threshold_is_a_number_or_a_cut(command):
    for word, asked in (("0", 0.0), ("1e-3", 0.001), ("1", 1.0), ("list", "list"), ("deep", "deep")):
        _, bound, _ = app.parse_args([*command.split(), "--threshold", word], exit_on_error=False, print_error=False)
        assert bound.arguments["threshold"] == asked
    for word in ("-0.1", "1.1", "nan", "low", ""):
        with pytest.raises(CycloptsError) as raised:
            app([*command.split(), "--threshold", word])
        line = one_line_about(raised.value)
        assert line.startswith(f"Invalid value for --threshold: must be a number from 0 to 1, list or deep, got {word}".strip())


LOCAL = ("demo", "explain a.fits", "train shards --name net", "reproduce wilde2022")


@pytest.mark.parametrize("command", LOCAL)
@pytest.mark.parametrize(("uri", "says"), [("s3://bucket/a.png", "is on S3, must be a local path"), ("ftp://a", "got ftp://")])
def test_a_local_output_on_another_store_is_refused(command, uri, says):
    with pytest.raises(CycloptsError) as raised:
        app([*command.split(), "--out", uri])
    line = one_line_about(raised.value)
    assert line.startswith(f"Invalid value for --out: {uri}: ")
    assert says in line


@pytest.mark.parametrize("command", LOCAL)
def test_a_local_output_may_be_a_file_uri(command):
    _, bound, _ = app.parse_args([*command.split(), "--out", "file:///a/b"], exit_on_error=False, print_error=False)
    assert bound.arguments["out"] == Path("/a/b")


def test_lists_may_have_spaces_after_their_commas():
    words = ["explain", "m.csv", "--objects", "1,", "-2,", "3", "--networks", "a,b", "--out", "x.png"]
    assert prepared(words) == ["explain", "m.csv", "--objects", "1,-2,3", "--networks", "a,b", "--out", "x.png"]
    assert prepared(["explain", "--objects", "1,", "--out", "x"]) == ["explain", "--objects", "1,", "--out", "x"]


@pytest.mark.usefixtures("quiet_after")
@pytest.mark.parametrize("flag", ["--verbose", "-v"])
def test_verbose_shows_logs_times_and_causes(flag, capsys, monkeypatch):
    def fails():
        try:
            {}["colour"]
        except KeyError as error:
            logging.getLogger("scanner.workers").info("unit %s", "a")
            logging.getLogger("botocore").info("hidden")
            raise LensscanError("no colour") from error

    assert prepared(["query", flag, "c"]) == ["query", "c"]
    monkeypatch.setattr("flows.cli.main.app", fails)
    assert _run() == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [re.fullmatch(r"(?:[0-9:]{8} )?(\S+): (.*)", line).groups() for line in err.splitlines()]
    assert lines[0] == ("scanner.workers", "unit a")
    assert lines[1] == ("flows.cli.arguments", "cause: KeyError: 'colour'")
    assert re.fullmatch(r"ended after \d+\.\d s", lines[2][1])
    assert lines[3] == ("lensscan", "no colour")
    assert len(lines) == 4


@pytest.mark.usefixtures("quiet_after")
def test_verbose_shows_the_files_that_are_made(capsys, tmp_path):
    from infra.store.storage import create_if_absent

    prepared(["-v"])
    create_if_absent(str(tmp_path / "x"), b"1", "test")
    assert [line[9:] for line in capsys.readouterr().err.splitlines()] == [f"infra.steps: created {tmp_path}/x"]


def test_without_verbose_only_the_error_is_shown(capsys, monkeypatch):
    def fails():
        raise LensscanError("no colour") from KeyError("colour")

    monkeypatch.setattr("flows.cli.main.app", fails)
    assert _run() == 2
    assert capsys.readouterr() == ("", "lensscan: no colour\n")
    with told():
        pass


@pytest.mark.parametrize("command", [[], ["scan"], ["models"], ["models", "list"]])
def test_help_shows_what_the_option_shows(command, capsys):
    def shown(words):
        with pytest.raises(SystemExit) as end:
            app(words)
        assert not end.value.code
        return capsys.readouterr().out

    assert shown(["help", *command]) == shown([*command, "--help"])


def test_help_of_an_unknown_command_names_it():
    with pytest.raises(CycloptsError, match="nosuch"):
        app(["help", "nosuch"])
