"""Clocks that differ: a little misleads, a quarter of an hour stops a scan."""

import re
import time

import pytest

from flows.commands.doctor_store import catalogue_store, tiles_store
from flows.commands.findings import State
from tests.infra.stores import BadStore, serving


class Ahead(BadStore):
    """A store whose clock is `server.ahead_s` ahead; it answers nothing else."""

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + self.server.ahead_s)


@pytest.mark.server
@pytest.mark.parametrize(("ahead_s", "state"), [(0, State.OK), (120, State.WARNING), (-1200, State.FAILED)])
def test_the_skew_of_a_store_decides(monkeypatch, ahead_s, state):
    with serving(Ahead, monkeypatch) as server:
        server.ahead_s = ahead_s
        findings = {finding.what: finding for finding in catalogue_store("s3://bucket/root")}
    clock = findings["clock"]
    assert clock.state is state
    if ahead_s:
        told_s, side = re.search(r"is (\d+) s (ahead of|behind)", clock.found).groups()
        # The date in an answer has no fractions of a second.
        assert int(told_s) == pytest.approx(abs(ahead_s), abs=2)
        assert side == ("ahead of" if ahead_s > 0 else "behind")
        assert "timedatectl" in clock.mend


def test_a_place_that_cannot_hold_a_catalogue_is_named(tmp_path):
    (tmp_path / "file").touch()
    (finding,) = [finding for finding in catalogue_store(f"{tmp_path}/file") if finding.what == "catalogue"]
    assert finding.state is State.FAILED
    assert "is a file" in finding.found
    assert "choose a folder" in finding.mend


def test_tiles_are_read_where_they_lie(tmp_path):
    (finding,) = tiles_store(str(tmp_path))
    assert (finding.state, "yet to come" in finding.mend) == (State.FAILED, True)
    (tmp_path / "tile.fits").write_bytes(b"SIMPLE")
    (finding,) = tiles_store(str(tmp_path))
    assert finding.state is State.OK
