"""The night comes from the plan: a wrong clock changes no row, no name and no byte of the written files."""

import datetime as dt
import signal
import sys
import time

import numpy as np
import pytest

from tests.faults.harness.night import NIGHT, finish, run_night, small_night, start

JUST_BEFORE_MIDNIGHT = dt.datetime.fromisoformat(f"{NIGHT}T23:59:58+00:00").timestamp()
DAY_S = 86400.0


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return small_night(tmp_path_factory.mktemp("night"), 4)


def run_with_clock(clock_s, wander_s, *args, **kwargs):
    """Call `run_night` with the clock at `clock_s` after 1970; each reading is off by up to `wander_s` in either direction."""
    rng = np.random.default_rng(0)
    set_clock(lambda: clock_s + rng.uniform(-wander_s, wander_s))
    assert abs(dt.datetime.now(dt.UTC).timestamp() - clock_s) <= wander_s
    assert abs(time.time() - clock_s) <= wander_s
    run_night(*args, **kwargs)


def set_clock(read):
    """Replace Python's clocks in every module of the product that imported one by name."""

    class Date(dt.date):
        @classmethod
        def today(cls):
            return cls.fromtimestamp(read())

    class DateTime(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(read(), tz)

        today = utcnow = now

    wrong = {
        dt.date: Date,
        dt.datetime: DateTime,
        time.time: read,
        time.time_ns: lambda: int(read() * 1e9),
        time.gmtime: lambda s=None, real=time.gmtime: real(read() if s is None else s),
        time.localtime: lambda s=None, real=time.localtime: real(read() if s is None else s),
    }
    ours = [module for name, module in list(sys.modules.items()) if f"{name}.".startswith(("infra.", "scanner."))]
    for module in (dt, time, *ours):
        for name, value in list(vars(module).items()):
            if callable(value) and value.__hash__ and value in wrong:
                setattr(module, name, wrong[value])


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("clock_s", "wander_s"),
    [(DAY_S, 0.0), (4.1e9, 0.0), (JUST_BEFORE_MIDNIGHT, 3 * DAY_S)],
    ids=["1970", "2099", "back_and_forth"],
)
def test_a_wrong_clock_changes_nothing(night, tmp_path, clock_s, wander_s):
    root = str(tmp_path / "catalogue")
    finish(start(run_with_clock, clock_s, wander_s, night.inputs, root))
    assert f"candidates/{NIGHT}.parquet" in night.check(root).files


@pytest.mark.fault(39)
def test_a_night_that_is_retried_past_midnight_keeps_its_date(night, tmp_path):
    root = str(tmp_path / "catalogue")
    dies = {"step": "unit.create", "unit": "unit-002"}
    finish(start(run_with_clock, JUST_BEFORE_MIDNIGHT, 1.0, night.inputs, root, crash=dies), -signal.SIGKILL)
    dies = {"step": "candidates.created"}
    finish(start(run_with_clock, JUST_BEFORE_MIDNIGHT + 5, 1.0, night.inputs, root, crash=dies), -signal.SIGKILL)
    finish(start(run_with_clock, JUST_BEFORE_MIDNIGHT - DAY_S, 1.0, night.inputs, root))
    night.check(root)


@pytest.mark.fault(39)
def test_every_retry_of_the_flow_keeps_the_scheduled_night(monkeypatch):
    from prefect.runtime import flow_run

    import flows.scan_night as flow

    scheduled = dt.datetime(2031, 2, 28, 23, 59, 58, tzinfo=dt.UTC)
    nights = []

    def scan(order, _submit_to):
        nights.append(order.night.isoformat())
        raise InterruptedError

    # Prefect keeps the scheduled start time of a flow run through all retries.
    monkeypatch.setitem(flow_run.FIELDS, "scheduled_start_time", lambda: scheduled)
    monkeypatch.setattr(flow, "scan_step", scan)
    for _ in range(2):
        with pytest.raises(InterruptedError):
            flow.scan_night.fn("tiles", "catalogue")
    assert nights == ["2031-02-28"] * 2
