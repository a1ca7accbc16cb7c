import os

from infra.telemetry import OPT_OUTS, opt_out


def test_reports_are_off_unless_the_user_wants_them(monkeypatch):
    for name in OPT_OUTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    opt_out()
    asked = {name: os.environ[name] for name in OPT_OUTS}
    assert asked == {"RAY_USAGE_STATS_ENABLED": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
