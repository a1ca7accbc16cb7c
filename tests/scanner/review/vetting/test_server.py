"""The server on loopback, asked by programs: what it answers, what it refuses, and what it never shows."""

import logging
import socket
from types import SimpleNamespace

import pytest

from scanner.review.vetting import server
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.server import HEADERS, SESSION, bound
from scanner.review.vetting.session import Session
from scanner.review.votes.log import VoteLog
from tests.servers import free_port
from tests.vetting import Client, act_of, catalogue_of, served, session_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    catalogue_of(root, changes={"candidate_id": [f"EUCL J{i}" for i in range(12)]})
    return str(root)


@pytest.fixture(scope="module")
def session(root):
    return session_of(root)


@pytest.fixture(scope="module")
def client(session):
    with served(session) as guard:
        yield Client(guard)


def test_the_address_opens_the_page(client):
    path = client.guard.address.partition(str(client.guard.port))[2]
    status, headers, body = client.ask(path, **{"X-Lensscan-Token": None, "Origin": None})
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "set-cookie" not in headers
    assert f'<script defer src="page/script.js?token={client.guard.token}">'.encode() in body
    for name, kind in (("script.js", "text/javascript"), ("style.css", "text/css")):
        status, headers, _ = client.ask(client.with_token(f"/page/{name}"))
        assert (status, headers["content-type"]) == (200, f"{kind}; charset=utf-8")


def test_every_answer_forbids_what_the_page_does_not_need(client):
    files = [client.with_token(path) for path in ("/", "/page/style.css", "/page/script.js", "/nowhere")]
    for path in (*files, "/", "/api/state", "/api/nowhere", "/api/facts?key=x"):
        for headers in ({}, {"X-Lensscan-Token": None}):
            _, found, _ = client.ask(path, **headers)
            assert {name: found.get(name) for name in HEADERS} == HEADERS, path
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & set(policy.replace(";", " ").split())


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Lensscan-Token": None},
        {"X-Lensscan-Token": "x"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_read_nothing(client, headers):
    for path in ("/api/state", "/page/script.js", "/api/facts?key=0", "/", "/?token=x", "/api/state?token=x"):
        status, _, body = client.ask(path, **headers)
        assert status == 403
        assert body.startswith(b"Refused: ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": None},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"X-Lensscan-Token": None},
    ],
)
def test_other_sites_write_nothing(client, session, headers):
    act = act_of(session.items[0].key)
    status, _, _ = client.ask("/api/acts", {"acts": [act]}, **headers)
    assert status == 403
    assert act["act_id"] not in {vote.act_id for vote in VoteLog(session._log.root_uri).votes()}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/page/../server.py", 404),
        ("/page/%2e%2e%2fserver.py", 404),
        ("/page/page.js", 404),
        ("/etc/passwd", 404),
        ("/api", 404),
        ("/api/nowhere", 404),
        ("/api/images?keys=nothing", 403),
        ("/api/images", 403),
        ("/api/facts?key=nothing", 403),
        ("/api/facts", 403),
    ],
)
def test_what_is_not_there_is_said_in_one_line(client, path, code):
    status, headers, body = client.ask(path if path.startswith("/api/") else client.with_token(path))
    assert (status, headers["content-type"]) == (code, "application/json")
    assert b"\n" not in body
    assert body.startswith(b'{"error":')


@pytest.mark.parametrize(
    ("body", "code"),
    [({"acts": "none"}, 400), ({}, 400), ({"acts": ["<script>"]}, 400), ({"acts": [], "more": 1}, 400)],
)
def test_messages_of_another_form_are_refused(client, body, code):
    status, _, answer = client.ask("/api/acts", body)
    assert status == code
    assert answer.startswith(b'{"error":')
    assert b"Traceback" not in answer
    assert b"<script>" not in answer


def test_an_act_that_is_none_holds_no_other_up(client, session):
    good, bad = act_of(session.items[5].key), act_of(session.items[6].key, more="<script>")
    early = act_of(session.items[6].key, graded_at="0001-01-01T00:00:00Z")
    found = client.json("/api/acts", {"acts": [bad, early, good]})
    assert found["stored"] == [good["act_id"]]
    assert found["refused"] == [
        {"act_id": bad["act_id"], "error": "more: Extra inputs are not permitted"},
        {
            "act_id": early["act_id"],
            "error": "Value error, graded_at must be in the years 2000 to 2099, got 0001-01-01T00:00:00+00:00",
        },
    ]


def test_slow_and_broken_requests_are_closed_without_a_word(session, monkeypatch, capfd, caplog):
    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.2)
    with served(session) as guard:
        own = "".join(f"{name}: {value}\r\n" for name, value in Client(guard).own.items())
        begun = (b"", b"GET / HTTP/1.1\r\nHo", f"POST /api/acts HTTP/1.1\r\n{own}Content-Length: 9\r\n\r\n{{".encode())
        for sent in (*begun, b"no request\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", guard.port), timeout=20) as slow:
                slow.sendall(sent)
                answer = slow.makefile("rb").read()
                assert (answer[:13] == b"HTTP/1.1 400 ") is (sent not in begun)
        assert Client(guard).ask("/api/state")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_page_of_another_session_is_refused(client, root, session):
    act = act_of(session.items[7].key)
    asked = ((f"/api/images?keys={act['item']}", None), (f"/api/facts?key={act['item']}", None), ("/api/acts", {"acts": [act]}))
    shared_log = Session(VoteLog(root), session._terms, SimpleNamespace(root_uri="other", subjects=[]))
    for other in (session_of(root, "bob").origin, shared_log.origin, ""):
        for path, body in asked:
            status, _, answer = client.ask(path, body, **{SESSION: other})
            assert (status, b"this page is of another catalogue or grader" in answer) == (409, True)
    assert act["act_id"] not in {vote.act_id for vote in VoteLog(root).votes()}
    for path, body in reversed(asked):
        assert client.ask(path, body, **{SESSION: session_of(root, seed=7).origin})[0] == 200


def test_a_message_has_a_largest_size(client):
    status, _, answer = client.ask("/api/acts", {"acts": [], "x": "y" * 2**20})
    assert (status, answer) == (413, b'{"error":"a message must have at most 1048576 bytes"}')


def test_only_acts_are_posted_and_nothing_else(client):
    for path in ("/api/state", client.with_token("/"), "/api/facts"):
        assert client.ask(path, {})[0] == 404
    assert client.ask("/api/acts")[0] == 404
    assert client.ask("/api/acts", method="DELETE")[0] == 404


def test_a_defect_is_in_the_log_and_in_no_answer(root, monkeypatch, capfd, caplog):
    broken = session_of(root)
    monkeypatch.setattr(broken, "state", lambda: 1 / 0)
    with served(broken) as guard:
        status, headers, body = Client(guard).ask("/api/state")
        assert (status, body) == (500, b'{"error":"the server has a defect; see its log"}')
        assert headers["content-security-policy"]
        assert Client(guard).ask("/api/facts?key=x")[0] == 403, "the server goes on"
    assert capfd.readouterr() == ("", "")
    # Without a handler, the interpreter prints what is logged: the defect alone.
    (logged,) = [record for record in caplog.records if record.levelname not in {"DEBUG", "INFO"}]
    assert (logged.levelname, logged.message, logged.exc_info[0]) == ("ERROR", "GET /api/state failed", ZeroDivisionError)


def test_a_failed_store_can_be_tried_again(root, monkeypatch):
    session = session_of(root)
    act = act_of(session.items[2].key)
    with served(session) as guard:
        with monkeypatch.context() as patch:
            patch.setattr("infra.store.storage.link_new", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
            status, _, body = Client(guard).ask("/api/acts", {"acts": [act]})
            assert (status, b"No space left" in body) == (503, True)
        assert Client(guard).json("/api/acts", {"acts": [act]})["stored"] == [act["act_id"]]


def test_the_server_listens_on_loopback_alone(client):
    listener = bound(0, free_port())
    assert listener.getsockname()[0] == "127.0.0.1"
    listener.close()


def test_a_taken_port_is_an_error_unless_any_will_do():
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with pytest.raises(VettingError, match=rf"^--port {port}: address already in use; leave --port out for a free one$"):
        bound(port, 1)
    other = bound(0, port)
    assert other.getsockname()[1] not in {0, port}
    for opened in (taken, other):
        opened.close()
    preferred = bound(0, port)
    assert preferred.getsockname()[1] == port
    with pytest.raises(VettingError, match="in use"):
        bound(port, 1)
    preferred.close()


def test_a_port_that_is_not_permitted_is_named(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.bind", refuse)
    with pytest.raises(VettingError, match="--port 80: permission denied; leave --port out for a free one"):
        bound(80, 1)
    with pytest.raises(PermissionError):
        bound(0, 1)
