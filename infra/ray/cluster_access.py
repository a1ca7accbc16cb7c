"""Find out whether a Ray cluster requires a token, by a request to it without one; read and create this user's token.

On an open cluster anyone who reaches a port can run code as its user. Tokens are where Ray keeps them: `RAY_AUTH_TOKEN`, the
file `RAY_AUTH_TOKEN_PATH`, or `~/.ray/auth_token`.
"""

import os
import secrets
import tempfile
from enum import Enum, auto
from pathlib import Path

import grpc  # type: ignore[import-untyped]

from infra.private_apis import ray_client_request, ray_head_request

ANSWER_TIMEOUT_S = 10
CLIENT_SCHEME = "ray://"


class Answer(Enum):
    """The answer of a cluster to a harmless request."""

    GIVEN = auto()
    REFUSED = auto()
    """The cluster requires a token, or a different one."""
    NONE = auto()
    """No server there answers in Ray's protocol without encryption."""


def ask(address: str, token: str | None = None) -> Answer:
    """Ask the cluster at `HOST:PORT` or `ray://HOST:PORT` whether it is alive, with this token or without a token."""
    request, answered = ray_head_request(), {grpc.StatusCode.OK}
    if address.startswith(CLIENT_SCHEME):
        # Ray's client server cannot answer an empty request; its attempt (NOT_FOUND) shows that it required no token before.
        request, answered = ray_client_request(), {grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND}
    metadata = [("authorization", f"Bearer {token}")] if token else []
    # Ray does the same: a web proxy must not be used to reach the cluster.
    with grpc.insecure_channel(address.removeprefix(CLIENT_SCHEME), options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(request)(b"", metadata=metadata, timeout=ANSWER_TIMEOUT_S)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
    if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return Answer.REFUSED
    return Answer.GIVEN if code in answered else Answer.NONE


def known_token() -> str | None:
    """Return the token of this user; None if there is none.

    Raises:
        OSError: the token's file cannot be read.
    """
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(given) if given else _own_token_file()
    return path.read_text(encoding="utf-8").strip() if given or path.is_file() else None


def ensure_token() -> None:
    """Create this user's token if it is missing, and make its file in the home folder private: Ray leaves it readable.

    Raises:
        OSError: the file cannot be written.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    path = _own_token_file()
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # readable by its owner only
            file.write(secrets.token_hex(32))
            file.flush()
            _link(Path(file.name), path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def private_folder() -> Path:
    """Return a folder for Ray's files that other users cannot enter: all users of a machine can write to Ray's default one.

    Raises:
        PermissionError: another user made the folder, or others can enter it.
        OSError: the folder cannot be made.
    """
    # TMPDIR is not used: its path may be too long for sockets.
    folder = Path(os.environ.get("RAY_TMPDIR") or "/tmp", f"ray-{os.getuid()}")  # noqa: S108
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be yours and closed to others (mode 700); remove it, or set RAY_TMPDIR")
    return folder / "ray"


def _own_token_file() -> Path:
    return Path.home() / ".ray" / "auth_token"


def _link(staged: Path, path: Path) -> None:
    """Give the staged file its name in one step; if another process was first, keep that file, which is as good."""
    try:
        path.hardlink_to(staged)
    except FileExistsError:
        return
