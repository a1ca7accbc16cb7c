"""The pages name only what exists: every command with its options, every file, and every test."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from flows.cli import main
from tests.docs import notebook
from tests.docs.pages import ROOT, pages

SOURCES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages()}
SOURCES["docs/tutorial.ipynb"] = notebook.as_markdown()
TOP = ("docs", "flows", "infra", "scanner", "simulation", "tests", "training")
FILE = re.compile(rf"(?<![\w/.-])((?:{'|'.join(TOP)})/[\w./*-]*\w/?)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)")
TEST = re.compile(r"\btest_\w+(?!\w|\.py)")
SPAN = re.compile(r"`(lensscan [^`]+)`")
LINE = re.compile(r"^!?(?:.* -- +)?(lensscan .*)", flags=re.MULTILINE)
END = {"|", ">", "&&", "#"}


def commands(text):
    """Return the words after `lensscan` of each line of a code block, and of each span of code that is a whole command."""
    code = "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    found = LINE.findall(code) + [span for span in SPAN.findall(text) if not {*span} & {"…", "["}]
    return [list(takewhile(lambda word: word not in END, shlex.split(line)[1:])) for line in found]


@pytest.mark.parametrize("name", SOURCES)
def test_commands_and_options_exist(name):
    for words in commands(SOURCES[name]):
        left, node = list(words), main.app
        while left and not left[0].startswith("-") and left[0] in node:
            node = node[left.pop(0)]
        if node is main.app:
            assert set(left) <= {"--help", "--version", "--install-completion"}, f"{name}: there is no command {words}"
            continue
        options = {word.partition("=")[0] for word in left if word.startswith("--")}
        known = {option for argument in node.assemble_argument_collection() for option in argument.names}
        assert options <= known | {"--help"}, f"{name}: {words} has unknown options"


@pytest.mark.parametrize("name", [name for name in SOURCES if "howto" in name or name == "README.md"])
def test_lines_of_code_have_valid_arguments(name):
    for words in commands(SPAN.sub("", SOURCES[name])):
        main.app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", SOURCES)
def test_files_and_links_exist(name):
    text = SOURCES[name]
    for path in FILE.findall(text):
        assert list(ROOT.glob(path.rstrip("/"))) or is_made(path), f"{name} names {path}"
    if name.endswith((".md", ".ipynb")):
        for target in LINK.findall(text):
            path = (ROOT / name).parent / target
            assert path.exists() or is_made(str(path.resolve().relative_to(ROOT))), f"{name} links to {target}"


def is_made(path):
    """Return whether `make docs`, `make faults`, a script that an operator runs or a user makes this file."""
    return re.fullmatch(r"docs/reference/\w+\.md|tests/\w+/report\.json|infra/deploy/secrets/\w+", path) is not None


def test_named_tests_exist():
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(ROOT, "tests").rglob("test_*.py"))
    files = {path.stem for path in Path(ROOT, "tests").rglob("test_*.py")}
    defined = {*re.findall(r"def (test_\w+)", code)} | files
    for name, text in SOURCES.items():
        assert not {*TEST.findall(text)} - defined, f"{name} names tests that do not exist"


def test_the_checks_notice_what_does_not_exist():
    text = "`lensscan scan x --nosuch` and\nlensscan is a word.\n```sh\nray -- \\\n    lensscan nosuch 'a > b' | grep a\n```\n"
    assert commands(text) == [["nosuch", "a > b"], ["scan", "x", "--nosuch"]]
    assert FILE.findall("see `scanner/no_such.py`, [x](../tests/none)") == ["scanner/no_such.py"]
    assert LINK.findall("[a](b.md#c) [d](https://e)") == ["b.md"]
    assert TEST.findall("`test_that_is_not_there` in tests/test_layers.py") == ["test_that_is_not_there"]
