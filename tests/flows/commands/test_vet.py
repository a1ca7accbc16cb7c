"""`lensscan vet` before the page opens: names, files, ports, what is printed, and whether a browser is opened."""

import getpass
import json
import socket

import pytest

import flows.commands.vet as module
from flows.cli.vet import vet
from flows.commands import vet_gold
from flows.commands.page_path import PageError
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.gold import GoldSet
from scanner.review.votes.log import VoteLog
from scanner.sources.survey import EUCLID_MER
from tests.other_survey import ATLAS, UNCALIBRATED
from tests.scanner.catalogue_parts import purity_table
from tests.scanner.review.votes.made_votes import vote_of
from tests.vetting import catalogue_of, gold_of, views_in


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("vet")
    catalogue_of(root, 4)
    return str(root)


@pytest.fixture
def served(monkeypatch, capsys):
    """Replace the endless loop of the server by its beginning; return a function that runs the command."""
    monkeypatch.setattr("scanner.review.vetting.server.serve", lambda _, listener, ready: (ready(), listener.close()))

    def run(root, grader="anna", **options):
        vet(root, **({"grader": grader, "gold": 0, "open": False, "json": True} | options))
        return capsys.readouterr().out

    return run


def test_the_grader_is_the_account_by_default(root, served):
    assert json.loads(served(root, None))["grader"] == getpass.getuser()


@pytest.mark.parametrize("name", ["", "an na", "../x", "-x", "x" * 65, "\u00e5sa", "a\n"])
def test_names_that_are_no_names_are_refused(root, served, name):
    with pytest.raises(VettingError, match="--grader must be 1 to 64 letters, digits"):
        served(root, name)


def test_a_grader_comes_back_to_the_same_port(root, served):
    ports = {
        grader: [json.loads(served(root, grader))["open"].partition("/?")[0] for _ in range(2)] for grader in ("anna", "bob")
    }
    assert ports["anna"][0] == ports["anna"][1] != ports["bob"][0]
    with socket.create_server(("127.0.0.1", int(ports["anna"][0].rpartition(":")[2]))):
        assert json.loads(served(root))["open"].partition("/?")[0] != ports["anna"][0]


def test_each_start_has_a_token_of_its_own(root, served):
    tokens = {json.loads(served(root))["open"].partition("token=")[2] for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) >= 32 for token in tokens)


def test_a_port_may_be_chosen_and_must_be_free(root, served, monkeypatch):
    """A port that is taken is told before test subjects are made."""
    with socket.create_server(("127.0.0.1", 0)) as taken, monkeypatch.context() as patch:
        port = taken.getsockname()[1]
        patch.setattr(module, "desk_of", lambda *_: pytest.fail("the port comes first"))
        with pytest.raises(VettingError, match=rf"^--port {port}: address already in use; leave --port out for a free one$"):
            served(root, port=port)
    assert f":{port}/" in json.loads(served(root, port=port))["open"]


def test_people_are_told_where_votes_go_and_how_to_stop(root, served, tmp_path):
    lines = dict(line.split(maxsplit=1) for line in served(root, json=False, votes=str(tmp_path)).splitlines())
    assert lines["candidates"] == "4"
    assert lines["open"].startswith("http://127.0.0.1:")
    assert lines["votes"] == f"{tmp_path}/_votes"
    assert "Ctrl-C" in lines["stop"]


@pytest.mark.parametrize(
    ("opens", "is_terminal", "display", "expected"),
    [(True, False, "", 1), (False, True, ":0", 0), (None, True, ":0", 1), (None, True, "", 0), (None, False, ":0", 0)],
)
def test_a_browser_opens_where_there_is_a_screen(root, served, monkeypatch, opens, is_terminal, display, expected):
    asked = []
    monkeypatch.setattr(module.webbrowser, "open", asked.append)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    said = json.loads(served(root, open=opens))
    assert asked == [said["open"]] * expected


def test_a_file_replaces_no_other_without_leave(root, served, tmp_path):
    path = tmp_path / "x.html"
    said = json.loads(served(root, static=str(path)))
    assert (said["file"], said["candidates"]) == (str(path), 4)
    before = path.read_bytes()
    with pytest.raises(PageError, match=r"--static .*x\.html exists; it is not replaced without --overwrite"):
        served(root, static=str(path))
    assert path.read_bytes() == before
    served(root, "bob", static=str(path), overwrite=True)
    assert path.read_bytes() != before
    for place, says in ((tmp_path / "x.csv", "--static must be a file that ends in"), ("s3://bucket/x.html", "a local file")):
        with pytest.raises(PageError, match=says):
            served(root, static=str(place))
    assert [file.name for file in tmp_path.iterdir()] == ["x.html"]


def test_a_file_has_the_grades_of_others_alone(root, served, tmp_path):
    log = VoteLog(str(tmp_path))
    for grader in ("anna", "bob"):
        log.append(vote_of(1001, grader, comment=f"by {grader}"))
    for grader, others in {"anna": ["bob"], "bob": ["anna"], "carl": ["anna", "bob"]}.items():
        served(root, grader, static=str(tmp_path / f"{grader}.html"), votes=str(tmp_path))
        told = [view["facts"]["others"] for view in views_in((tmp_path / f"{grader}.html").read_text())]
        assert [one["grader"] for of_view in told for one in of_view] == others


def test_the_page_warns_of_another_survey(served, tmp_path):
    for name, survey in (("euclid", EUCLID_MER), ("other", ATLAS)):
        catalogue_of(tmp_path / name, 1, survey=survey, purity=purity_table(0.25))
        served(str(tmp_path / name), static=str(tmp_path / f"{name}.html"))
    euclid, other = (
        dict(views_in((tmp_path / f"{name}.html").read_text())[0]["facts"]["lines"]) for name in ("euclid", "other")
    )
    assert "expected purity" in euclid
    assert "calibration" not in euclid
    assert "expected purity" not in other
    assert other["calibration"].startswith(UNCALIBRATED)


def test_a_seed_decides_the_order(root, served, tmp_path):
    orders = []
    for number, seed in enumerate((0, 0, 1)):
        path = tmp_path / f"{number}.html"
        served(root, seed=seed, static=str(path))
        orders.append([json.dumps(view["subject"], sort_keys=True) for view in views_in(path.read_text())])
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(("training", "expected"), [(True, {"gold_lens", "training_lens"}), (False, {"gold_lens"})])
def test_training_can_be_left_out(root, served, monkeypatch, tmp_path, training, expected):
    made = GoldSet(gold_of(4, ("gold_lens", "training_lens")))
    monkeypatch.setattr(module, "gold_of", lambda *_: (made, ""))
    path = tmp_path / "x.html"
    said = json.loads(served(root, training=training, static=str(path)))
    assert said["gold"] == 2
    assert {view["subject"]["role"] for view in views_in(path.read_text())} == expected | {"candidate"}


def test_no_gold_is_made_where_its_answers_are_shown(root, served, monkeypatch, tmp_path):
    monkeypatch.setattr(vet_gold, "_made", lambda *_: pytest.fail("subjects are made"))
    path = tmp_path / "x.html"
    said = json.loads(served(root, gold=None, blind=False, static=str(path)))
    assert (said["gold"], "gold, note" in said) == (0, False)
    assert {view["subject"]["role"] for view in views_in(path.read_text())} == {"candidate"}
    with pytest.raises(VettingError, match="--gold must be 0 or left out with --no-blind, which shows the answers, got 30"):
        served(root, gold=30, blind=False)


def test_gold_that_cannot_be_made_is_told_in_one_line(root, served):
    said = json.loads(served(root, gold=4))
    assert said["gold"] == 0
    assert "no ensemble of that name" in said["gold, note"]
