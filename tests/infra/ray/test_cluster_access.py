"""Tokens where Ray keeps them, and the answer of a server that is no cluster."""

import http.server
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.ray.cluster_access import Answer, ask, ensure_token, known_token, private_folder
from tests.servers import free_port


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_token_is_made_once_and_readable_by_its_owner(home):
    assert known_token() is None
    old = os.umask(0o022)
    try:
        ensure_token()
    finally:
        os.umask(old)
    token = known_token()
    assert len(bytes.fromhex(token)) == 32
    assert mode(home / ".ray" / "auth_token") == 0o600
    assert mode(home / ".ray") == 0o700
    ensure_token()
    assert known_token() == token
    assert [path.name for path in (home / ".ray").iterdir()] == ["auth_token"]


def test_a_token_file_that_others_can_read_is_made_private(home):
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("of Ray\n")
    path.chmod(0o644)
    ensure_token()
    assert (mode(path), known_token()) == (0o600, "of Ray")


def test_concurrent_starts_agree_on_one_token(home):
    start = threading.Barrier(8)

    def one():
        start.wait()
        ensure_token()
        return known_token()

    with ThreadPoolExecutor(8) as pool:
        tokens = [future.result() for future in [pool.submit(one) for _ in range(8)]]
    assert len(set(tokens)) == 1
    assert tokens[0]


def test_a_token_from_the_environment_comes_first(home, monkeypatch):
    (home / "mounted").write_text("of the file\n")
    (home / "mounted").chmod(0o444)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "mounted"))
    ensure_token()
    assert known_token() == "of the file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of the variable")
    ensure_token()
    assert known_token() == "of the variable"
    assert mode(home / "mounted") == 0o444
    assert not (home / ".ray").exists()


def test_others_cannot_enter_the_folder_of_a_private_session(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    folder = private_folder()
    assert (mode(folder.parent), folder.parent.parent) == (0o700, tmp_path)
    assert private_folder() == folder
    folder.parent.chmod(0o770)
    with pytest.raises(PermissionError, match="closed to others"):
        private_folder()
    folder.parent.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="must be yours"):
        private_folder()


def test_a_server_that_is_no_cluster_gives_no_answer():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        for address in (f"127.0.0.1:{web.server_port}", f"ray://127.0.0.1:{web.server_port}", f"127.0.0.1:{free_port()}"):
            assert ask(address) is Answer.NONE
        web.shutdown()
