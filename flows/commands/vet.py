"""`lensscan vet`: grade candidates in the browser, or write the page as a file."""

import getpass
import hashlib
import json
import os
import secrets
import sys
import webbrowser
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.commands.vet_gold import gold_of
from flows.terminal import print_json, print_lines, terminal_progress
from infra.store.files import check_replaceable, replace_whole
from infra.store.storage import absolute
from scanner.catalogue.paths import votes_uri
from scanner.catalogue.wanted import Wanted
from scanner.review.vetting.candidates import every_subject, gradable_rows
from scanner.review.vetting.errors import VettingError
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
    """What the grader asks for."""

    catalogue: str
    grader: str | None
    votes: str | None
    n_gold: int | None
    """None for as many as can be made in a few seconds."""
    has_training: bool
    is_blind: bool
    seed: int


def run_vet(
    wishes: Wishes, wanted: Wanted, *, port: int, opens: bool | None, static: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Serve the page until Ctrl-C, or write it to a file.

    Raises:
        VettingError: there is nothing to grade, or an option does not fit.
        LensscanError: the catalogue or the votes cannot be read.
        OSError: the port is taken, or the file cannot be written.
    """
    grader = _grader(wishes.grader)
    if static is not None:
        _check_file(static, overwrite=overwrite)
    root = absolute(wishes.catalogue)
    rows = gradable_rows(root, wanted)
    log = VoteLog(wishes.votes or root)
    with terminal_progress("making test subjects", quiet=as_json) as report:
        gold, why = gold_of(root, log.root_uri, rows[0]["plan_id"], wishes.n_gold, report)
    known = [*gold.of_role("gold"), *(gold.of_role("training") if wishes.has_training else [])]
    material = Material(root, rows, known)
    title = root.rstrip("/").rpartition("/")[2]
    terms = Terms(grader, wishes.seed, wishes.is_blind, page_version(), title)
    said = {"candidates": len(rows), "gold": len(gold.of_role("gold")), **({"gold, note": why} if why else {})}
    if static is not None:
        _write(static, terms, material, len(rows), log, said, as_json=as_json)
        return
    session = Session(log, terms, material, partial(every_subject, root, gold))
    _serve(session, terms, log, port, opens, said, as_json=as_json)


def _grader(name: str | None) -> str:
    """Return the grader's name.

    Raises:
        VettingError: it has other characters.
    """
    given = getpass.getuser() if name is None else name
    try:
        return TypeAdapter(GraderName).validate_python(given)
    except ValidationError as error:
        raise VettingError(
            f"--grader must be 1 to 64 letters, digits, `.`, `_` or `-`, and begin with a letter or a digit, got {given!r}"
        ) from error


def _check_file(path: Path, *, overwrite: bool) -> None:
    """Check that a page can be written, before the long work begins."""
    if path.suffix.lower() not in {".html", ".htm"} or path.is_dir():
        raise VettingError(f"--static must be an HTML file, whose name ends in .html, got {path}")
    if path.exists() and not overwrite:
        raise VettingError(f"--static {path} exists; it is not replaced without --overwrite")
    check_replaceable(path)


def _write(
    path: Path, terms: Terms, material: Material, n_rows: int, log: VoteLog, said: dict[str, Any], *, as_json: bool
) -> None:
    from scanner.review.vetting.static_page import static_page

    others = [vote for vote in effective_votes(log.votes()) if vote.grader != terms.grader]
    page = static_page(terms, material, n_rows, others).encode()
    with replace_whole(path) as part:
        part.write_bytes(page)
    summary = {"file": str(path), "grader": terms.grader, **said, "megabytes": round(len(page) / 1e6, 1)}
    print_json(summary) if as_json else print_lines(summary)


def _serve(
    session: Session, terms: Terms, log: VoteLog, port: int, opens: bool | None, said: dict[str, Any], *, as_json: bool
) -> None:
    """Serve the page until the process is interrupted."""
    from scanner.review.vetting.guard import Guard
    from scanner.review.vetting.server import application, bound, serve

    own = int(hashlib.sha256(f"{log.root_uri}\n{terms.grader}".encode()).hexdigest(), 16)
    listener = bound(port, _PORTS[own % len(_PORTS)])
    guard = Guard(secrets.token_urlsafe(24), listener.getsockname()[1])

    def ready() -> None:
        summary = {"grader": terms.grader, **said, "graded": session.n_graded, "open": guard.address}
        if as_json:
            sys.stdout.write(f"{json.dumps(summary)}\n")
        else:
            print_lines(summary | {"votes": votes_uri(log.root_uri), "stop": "Ctrl-C; every vote is stored when it is given"})
        sys.stdout.flush()
        Thread(target=session.warm_up, daemon=True).start()
        if _has_screen() if opens is None else opens:
            webbrowser.open(guard.address)

    serve(application(session, guard), listener, ready)


def _has_screen() -> bool:
    """Return whether a browser can show a page here; without a screen Python would start one in the terminal."""
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
