"""`lensscan vet`: what a grader works with, the page on a server, and the page as a file."""

import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.commands.vet_gold import gold_of
from infra.account import account_name
from infra.progress import Progress
from infra.provenance import sha256_bytes
from infra.store.files import replace_whole
from infra.store.storage import absolute
from scanner.catalogue.paths import votes_uri
from scanner.catalogue.wanted import Wanted
from scanner.review.vetting.candidates import every_subject, gradable_rows
from scanner.review.vetting.errors import VettingError
from scanner.review.vetting.gold import GoldSet
from scanner.review.vetting.material import Material
from scanner.review.vetting.page_files import page_version
from scanner.review.vetting.session import Session, Terms
from scanner.review.votes.effective import effective_votes
from scanner.review.votes.log import VoteLog
from scanner.review.votes.vote import GraderName

_PORTS = range(21000, 29000)
"""Ports that no common service has, and from which systems take none at random."""


@dataclass(frozen=True)
class Wishes:
    """The options that the grader gives."""

    catalogue: str
    grader: str | None = None
    """None for the name of the account."""
    votes: str | None = None
    """Root of the votes; None for the catalogue's."""
    n_gold: int | None = None
    """None for as many as can be made in a few seconds."""
    has_training: bool = True
    is_blind: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Desk:
    """Everything that a grader works with."""

    terms: Terms
    material: Material
    log: VoteLog
    gold: GoldSet
    n_candidates: int
    said: dict[str, Any]
    """Numbers and notes for the grader, by their names."""


def listener_of(wishes: Wishes, port: int) -> socket.socket:
    """Return a socket that listens on the port of the page.

    Args:
        wishes: The options that the grader gives.
        port: The port; 0 for one that is the same whenever the grader comes back, or any if that is taken.

    Raises:
        VettingError: the port is taken or may not be used, or the grader's name cannot be used.
    """
    # Imported here: a page in a file needs no server.
    from scanner.review.vetting.server import bound

    own = int(sha256_bytes(f"{_log_of(wishes).root_uri}\n{_grader(wishes.grader)}".encode()), 16)
    return bound(port, _PORTS[own % len(_PORTS)])


def desk_of(wishes: Wishes, wanted: Wanted, report: Progress) -> Desk:
    """Read the candidates that the grader asks for, and find or make the gold subjects.

    Raises:
        VettingError: there is nothing to grade, the grader's name cannot be used, or subjects whose answers the page shows
            are to be mixed in.
        LensscanError: the catalogue or the votes cannot be read.
    """
    if wishes.n_gold and not wishes.is_blind:
        raise VettingError(f"--gold must be 0 or left out with --no-blind, which shows the answers, got {wishes.n_gold}")
    grader = _grader(wishes.grader)
    root = absolute(wishes.catalogue)
    rows = gradable_rows(root, wanted)
    log = _log_of(wishes)
    # A grade after the answer would measure no skill, and train no grader.
    gold, why = gold_of(root, log.root_uri, rows[0]["plan_id"], wishes.n_gold if wishes.is_blind else 0, report)
    mixed_in = gold.of_role("gold")
    known = [*mixed_in, *(gold.of_role("training") if wishes.has_training else [])]
    terms = Terms(grader, wishes.seed, wishes.is_blind, page_version(), root.rstrip("/").rpartition("/")[2])
    said = {"grader": grader, "candidates": len(rows), "gold": len(mixed_in), **({"gold, note": why} if why else {})}
    return Desk(terms, Material(root, rows, known), log, gold, len(rows), said)


def write_page(desk: Desk, path: Path) -> dict[str, Any]:
    """Write the page with everything in one file, and return what to tell about it.

    Raises:
        VettingError: there are too many candidates.
        LensscanError: the catalogue or the votes cannot be read.
        OSError: the file cannot be written.
    """
    # Imported here: a start of the server needs none of this.
    from scanner.review.vetting.static_page import static_page

    others = [vote for vote in effective_votes(desk.log.votes()) if vote.grader != desk.terms.grader]
    page = static_page(desk.terms, desk.material, desk.n_candidates, others).encode()
    with replace_whole(path) as part:
        part.write_bytes(page)
    return {"file": str(path), **desk.said, "megabytes": round(len(page) / 1e6, 1)}


def serve_page(desk: Desk, listener: socket.socket, opens: bool | None, tell: Callable[[dict[str, Any]], None]) -> None:
    """Serve the page until the process is interrupted.

    Args:
        desk: What the grader works with.
        listener: Socket of `listener_of`.
        opens: Whether to open the page in a browser; None if there is a screen.
        tell: Called once the page can be opened, with what to tell about it.

    Raises:
        LensscanError: the votes cannot be read.
    """
    # Imported here: a page in a file needs no server.
    from scanner.review.vetting.guard import Guard
    from scanner.review.vetting.server import application, serve

    session = Session(desk.log, desk.terms, desk.material, partial(every_subject, desk.material.root_uri, desk.gold))
    guard = Guard(secrets.token_urlsafe(24), listener.getsockname()[1])

    def ready() -> None:
        tell({**desk.said, "graded": session.n_graded, "open": guard.address, "votes": votes_uri(desk.log.root_uri)})
        Thread(target=session.warm_up, daemon=True).start()
        if _has_screen() if opens is None else opens:
            webbrowser.open(guard.address)

    serve(application(session, guard), listener, ready)


def _log_of(wishes: Wishes) -> VoteLog:
    return VoteLog(wishes.votes or absolute(wishes.catalogue))


def _grader(name: str | None) -> str:
    """Return the grader's name.

    Raises:
        VettingError: it has other characters.
    """
    given = account_name() if name is None else name
    try:
        return TypeAdapter(GraderName).validate_python(given)
    except ValidationError as error:
        raise VettingError(
            f"--grader must be 1 to 64 letters, digits, `.`, `_` or `-`, and begin with a letter or a digit, got {given!r}"
        ) from error


def _has_screen() -> bool:
    """Return whether a browser can show a page here; without a screen Python would start one in the terminal."""
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
