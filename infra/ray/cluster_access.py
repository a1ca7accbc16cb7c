"""Who may use a Ray cluster: whoever holds its token, or anybody at all. The cluster itself is asked, without its token.

On an open cluster anybody who reaches a port runs code as its user. Tokens are where Ray keeps them: `RAY_AUTH_TOKEN`, the
file `RAY_AUTH_TOKEN_PATH`, or `~/.ray/auth_token`.
"""

import os
import secrets
import tempfile
from enum import Enum, auto
from pathlib import Path

import grpc  # type: ignore[import-untyped]

ANSWER_TIMEOUT_S = 10
CLIENT_SCHEME = "ray://"
_CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_CLIENT_INFO = "/ray.rpc.RayletDriver/ClusterInfo"
# Ray's client server cannot answer an empty request; that it tried means that nothing was asked for before.
_ANSWERED = {_CHECK_ALIVE: {grpc.StatusCode.OK}, _CLIENT_INFO: {grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND}}


class Answer(Enum):
    """What a cluster says to a harmless question."""

    GIVEN = auto()
    REFUSED = auto()
    """It wants a token, or another one."""
    NONE = auto()
    """Nothing that speaks Ray's protocol in clear."""


def ask(address: str, token: str | None = None) -> Answer:
    """Ask the cluster at `HOST:PORT` or `ray://HOST:PORT` whether it lives, as somebody with this token or without any."""
    method = _CLIENT_INFO if address.startswith(CLIENT_SCHEME) else _CHECK_ALIVE
    metadata = [("authorization", f"Bearer {token}")] if token else []
    # As Ray does: a proxy for the web is none for the cluster.
    with grpc.insecure_channel(address.removeprefix(CLIENT_SCHEME), options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(method)(b"", metadata=metadata, timeout=ANSWER_TIMEOUT_S)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
    if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return Answer.REFUSED
    return Answer.GIVEN if code in _ANSWERED[method] else Answer.NONE


def known_token() -> str | None:
    """The token of this user, if there is one.

    Raises:
        OSError: a token's file cannot be read.
    """
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    given = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(given) if given else _own_token_file()
    return path.read_text(encoding="utf-8").strip() if given or path.is_file() else None


def ensure_token() -> None:
    """See that this user has a token, and that nobody else can read the one in the home folder: Ray leaves it readable.

    Raises:
        OSError: it cannot be written.
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
    """A folder for Ray's files that others cannot enter: Ray lets all users of a machine write into its own.

    Raises:
        PermissionError: somebody else made it, or opened it.
        OSError: it cannot be made.
    """
    # Not TMPDIR, which may be too long a path for sockets.
    folder = Path(os.environ.get("RAY_TMPDIR") or "/tmp", f"ray-{os.getuid()}")  # noqa: S108
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be yours and closed to others (mode 700); remove it, or set RAY_TMPDIR")
    return folder / "ray"


def _own_token_file() -> Path:
    return Path.home() / ".ray" / "auth_token"


def _link(staged: Path, path: Path) -> None:
    """Whole or not at all; that of another process is as good."""
    try:
        path.hardlink_to(staged)
    except FileExistsError:
        return
