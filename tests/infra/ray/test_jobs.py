"""Jobs on a real Ray head with its token: submitted once, attached to, submitted again after a bad end, and stopped."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.errors import ClusterAccessError, ClusterError
from infra.ray.jobs import JobServer, _number
from tests.job_servers import job_server
from tests.servers import free_port
from tests.sources import ROOT

pytestmark = [pytest.mark.server, pytest.mark.ray]

ACTS = """
import json, pathlib, sys, time
import infra.ray.jobs

infra.ray.jobs.POLL_S = 0.3
server, found = infra.ray.jobs.JobServer(sys.argv[1]), []
for act, *arguments in json.loads(sys.argv[2]):
    if act == "submit":
        found.append(server.attach_or_submit(*arguments, {"night": "2026-01-01"}))
    elif act == "stop":
        found.append(server.stop(*arguments))
    elif act == "delete":
        server._client.delete_job(*arguments)
    elif act == "touch":
        pathlib.Path(*arguments).touch()
    elif act == "wait":
        while not {job.status for job in server._attempts(*arguments).values()} & {"RUNNING"}:
            time.sleep(0.2)
    else:
        lines = []
        end = server.follow(*arguments, lines.append)
        found.append([end.status, end.exit_code, [line for line in lines if line.endswith("job")]])
print(json.dumps(found))
"""
"""Does some acts in a process of its own, because Ray reads a token once for each process."""
BAD = "sh -c 'echo bad job; exit 3'"


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    with job_server(tmp_path_factory.mktemp("ray")) as started:
        yield started


@pytest.fixture(scope="module")
def done(head, tmp_path_factory):
    """Start the acts on all three works at once, because they wait a lot; return a function that returns what they found."""
    folder = tmp_path_factory.mktemp("acts")
    twice, stopped = folder / "twice", folder / "stopped"
    # The last line comes in two halves, which are looked at apart; Ray has written its own words before them.
    talk = f"sh -c 'echo first job; until [ -e {twice} ]; do sleep 0.1; done; sleep 1; printf last; sleep 1.5; echo \" job\"'"
    other = f"sh -c 'until [ -e {stopped} ]; do sleep 0.1; done; echo other job'"
    again = ("delete", "bad"), ("submit", "bad", BAD)
    acts = {
        "talk": (
            ("submit", "talk", talk),
            ("submit", "talk", talk),
            ("touch", str(twice)),
            ("follow", "talk"),
            ("submit", "talk", talk),
        ),
        "bad": (("submit", "bad", BAD), ("follow", "bad"), ("submit", "bad", BAD), ("follow", "bad-2"), *again),
        "long": (
            ("submit", "long", "sleep 600"),
            ("submit", "long-other", other),
            ("wait", "long"),
            ("stop", "long"),
            ("stop", "long"),
            ("touch", str(stopped)),
            ("follow", "long"),
            ("follow", "long-other"),
        ),
    }
    running = {name: begun(head, *acts) for name, acts in acts.items()}
    yield lambda name: found_by(running[name])
    for process in running.values():
        process.kill()
        process.communicate()


def begun(head, *acts, **variables):
    command = [sys.executable, "-W", "ignore", "-c", ACTS, head[0], json.dumps(acts)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=head[1] | variables, cwd=ROOT, **pipes)


def found_by(process):
    out, err = process.communicate(timeout=200)
    return json.loads(out) if process.returncode == 0 else err


def test_a_job_is_followed_and_not_submitted_twice(done):
    assert done("talk") == [["talk", True], ["talk", False], ["SUCCEEDED", 0, ["first job", "last job"]], ["talk-2", True]]


def test_a_job_that_ended_badly_is_submitted_again(done):
    """The number of the third follows that of the second, although the first is deleted by then."""
    assert done("bad") == [
        ["bad", True],
        ["FAILED", 3, ["bad job"]],
        ["bad-2", True],
        ["FAILED", 3, ["bad job"]],
        ["bad-3", True],
    ]


def test_a_stop_ends_the_running_job_of_this_work_alone(done):
    found = done("long")
    assert found[2:4] == [["long"], []]
    assert found[4][0] == "STOPPED"
    assert found[5] == ["SUCCEEDED", 0, ["other job"]]


def test_a_wrong_token_is_refused_in_one_line(head, tmp_path):
    (tmp_path / "token").write_text("f" * 64)
    said = found_by(begun(head, ("stop", "x"), RAY_AUTH_TOKEN_PATH=str(tmp_path / "token")))
    assert said.splitlines()[-1] == f"infra.errors.ClusterAccessError: the Ray job server at {head[0]} refuses our token"


def test_a_missing_token_is_named(head, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ClusterAccessError, match="requires its token, but none is set in RAY_AUTH_TOKEN"):
        JobServer(head[0])


class OpenServer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args):
        pass


def test_an_open_server_is_refused(monkeypatch):
    monkeypatch.delenv("LENSSCAN_ALLOW_OPEN_CLUSTER", raising=False)
    with HTTPServer(("127.0.0.1", 0), OpenServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with pytest.raises(ClusterAccessError, match="is open: anyone who reaches it can run code"):
            JobServer(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_addresses_that_are_none():
    for address in ("127.0.0.1:8265", "ray://127.0.0.1:10001", "http://user:secret@127.0.0.1:1"):
        with pytest.raises(ClusterAccessError, match=r"must be http://HOST:PORT, got [^@]*$"):
            JobServer(address)
    with pytest.raises(ClusterError, match="no Ray job server at http://127"):
        JobServer(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("name", "number"), [("scan", 1), ("scan-2", 2), ("scan-17", 17), ("scan-x", None), ("scan-other-2", None), ("other", None)]
)
def test_attempts_are_told_from_other_works(name, number):
    assert _number(name, "scan") == number
