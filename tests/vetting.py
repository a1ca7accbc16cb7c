"""Catalogues to grade, and servers of the page: in a thread of the test, or the real command in a process of its own."""

import base64
import contextlib
import http.client
import json
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np

from scanner.catalogue.ledger import publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import ScanConfig, build_plan, freeze
from scanner.catalogue.seal import seal
from scanner.catalogue.wanted import EVERY_CANDIDATE
from scanner.review.vetting.candidates import gradable_rows
from scanner.review.vetting.gold import Gold, GoldAnswer
from scanner.review.vetting.guard import Guard
from scanner.review.vetting.material import Material
from scanner.review.vetting.page_files import page_version
from scanner.review.vetting.server import application, bound, web_server
from scanner.review.vetting.session import Session, Terms
from scanner.review.votes.log import VoteLog
from tests.faults.harness.patience import wait_for
from tests.scanner.catalogue_parts import EnsembleName, finished, scores, with_maps
from tests.servers import free_port
from tests.tiles import write_tile

DRAWN = '#stage[data-drawn]:not([data-drawn=""])'
"""The part of the page that holds the images, once all of them are there."""
SAVED = '#saved[data-waiting="0"]'  # attached, not visible: a phone hides the word
"""The words about votes that are not stored yet, once there are none."""
FIRST = 1001
"""Identifier of the best candidate of `catalogue_of`."""


def catalogue_of(root, n=12, **options):
    """Make a catalogue of `n` candidates with pixels, whose scores no other text of a page holds; return their ids."""
    p_lens = {FIRST + i: 0.987654 - i / 1000 for i in range(n)}
    finished(str(root), {"t": p_lens}, maps_per_unit=1000, **options)
    return list(p_lens)


def catalogue_with_tile(root, folder, n_objects=40, n_candidates=8, **tile):
    """Make a catalogue of a real tile of galaxies, a few of them candidates, four nearly so; return the plan."""
    ids = write_tile(folder, 1, n_objects, n_pixels=700, seed=5, **tile)
    plan = build_plan(str(folder), None, EnsembleName("mer3-sim"), ScanConfig(maps_per_unit=n_candidates))
    freeze(plan, str(root))
    nearly = [0.5 * plan.config.candidate_threshold] * 4
    p_lens = [*(0.9 - i / 100 for i in range(n_candidates)), *nearly, *[1e-7] * n_objects][: len(ids)]
    table = scores(ids.tolist(), p_lens, tile=[plan.units[0].unit_id] * len(ids), night=[""] * len(ids))
    publish(with_maps(table, set(range(n_candidates))), plan.units[0], plan, str(root), "try")
    seal(plan, str(root))
    show(plan, str(root))
    return plan


def session_of(root, grader="anna", *, gold=(), wanted=EVERY_CANDIDATE, **options):
    """Return a session on all candidates of a catalogue."""
    terms = Terms(grader, options.pop("seed", 0), options.pop("is_blind", True), page_version(), "catalogue")
    return Session(VoteLog(str(root)), terms, Material(str(root), gradable_rows(str(root), wanted), gold), **options)


def act_of(key, grade="A", **changes):
    """Return an act as the page sends it."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"act_id": uuid4().hex, "act": "grade", "item": key, "grade": grade, "graded_at": now} | changes


class Client:
    """A program that sends what the page would send, or something else."""

    def __init__(self, guard):
        self.guard = guard
        self.own = {
            "Host": f"127.0.0.1:{guard.port}",
            "X-Lensscan-Token": guard.token,
            "Origin": f"http://127.0.0.1:{guard.port}",
        }

    @classmethod
    def of_address(cls, address):
        """Return a client of the server whose address the command printed."""
        place, _, token = address.partition("/?token=")
        return cls(Guard(token, int(place.rpartition(":")[2])))

    def with_token(self, path):
        """Return the path of the page or of one of its files, with the token."""
        return f"{path}?token={self.guard.token}"

    def ask(self, path, body=None, method=None, **headers):
        """Return status, headers in lower case and body; `headers` replace those of the browser, None leaves one out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.guard.port, timeout=20)
        sent = {name: value for name, value in (self.own | headers).items() if value is not None}
        data = None if body is None else json.dumps(body)
        try:
            connection.putrequest(method or ("GET" if body is None else "POST"), path, skip_host=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data and data.encode())
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, path, body=None):
        status, _, data = self.ask(path, body)
        assert status == 200, data
        return json.loads(data)


def data_of(page):
    """Return the data of a page in one file."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def views_in(page):
    """Return what is hidden in a page in one file: the subject and the facts of each view."""
    data = data_of(page)
    found = []
    for (key, _), item in zip(data["state"]["items"], data["items"], strict=True):
        hidden, mask = base64.b64decode(item["hidden"]), key.encode()
        found.append(json.loads(bytes(byte ^ mask[i % 20] ^ (i & 255) for i, byte in enumerate(hidden))))
    return found


def opened(page, address):
    """Open the page at an address, and wait for the first image."""
    page.goto(address)
    page.wait_for_selector(DRAWN)
    return page


def press(page, *keys):
    """Press keys, each once the image is there, and wait until all is stored."""
    for key in keys:
        page.wait_for_selector(DRAWN)
        page.keyboard.press(key)
    page.wait_for_selector(SAVED, state="attached")


@contextlib.contextmanager
def served(session, port=0):
    """Serve a session from a thread, and yield its guard."""
    listener = bound(port, free_port())
    guard = Guard(uuid4().hex, listener.getsockname()[1])
    server = web_server(application(session, guard))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_for("the server", lambda: server.started)
        yield guard
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class Command:
    """`lensscan vet` in a process of its own, and what it printed before the page could be opened."""

    def __init__(self, *arguments):
        code = "import lensscan; lensscan.main()"
        command = [sys.executable, "-c", code, "vet", *map(str, arguments), "--json", "--no-open"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @property
    def said(self):
        if not hasattr(self, "_said"):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            self._said = json.loads(line)
        return self._said

    @property
    def address(self):
        return self.said["open"]

    def kill(self):
        """End the process at once, whatever it does."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def command(*arguments):
    """Run `lensscan vet` for the length of a `with` block."""
    running = Command(*arguments)
    try:
        yield running
    finally:
        running.kill()


def gold_of(n=4, roles=("gold_lens", "gold_nonlens"), seed=1):
    """Return gold subjects of noise."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        role = roles[i % len(roles)]
        is_lens = role.endswith("_lens")
        answer = GoldAnswer(name=f"gold:{seed}{i:03}", role=role, kind="double_ring" if is_lens else "", step=0.05)
        values = rng.normal(0, 20, (4, 80, 80)).astype(np.int16)
        made.append(Gold(answer, values, rng.random((80, 80)) < 0.1 * is_lens))
    return made
