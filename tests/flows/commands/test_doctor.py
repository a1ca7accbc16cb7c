"""`lensscan doctor` with real stores, clusters and servers that would stop a scan: what, found, how to mend, exit code."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL, temporary_settings

from flows.cli.doctor import doctor as command
from tests.faults.harness.canaries import Canaries
from tests.faults.harness.ray_heads import ray_head
from tests.infra.stores import BadStore, serving
from tests.prefect_servers import prefect_server
from tests.servers import free_port
from tests.tiles import write_tile

pytestmark = pytest.mark.server
LENSSCAN = Path(sys.executable).with_name("lensscan")
TOKEN = secrets.token_hex(32)


def checked(told, code):
    """Return the findings of an answer in JSON, `{what: [(state, found, mend)]}`, after a check against the exit code."""
    told = json.loads(told)
    assert code in {0, 1}
    assert told["would_start"] == (code == 0)
    findings = {}
    for finding in told["findings"]:
        assert (finding["state"] == "ok") == (finding["mend"] == ""), finding
        findings.setdefault(finding["what"], []).append((finding["state"], finding["found"], finding["mend"]))
    return findings


def surroundings(**env):
    """Return the environment of the command, without settings of Prefect and Ray from here; None unsets a variable."""
    here = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))}
    return {name: value for name, value in (here | env).items() if value is not None}


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Return a function that calls the command in this process and returns its exit code and findings."""
    monkeypatch.chdir(tmp_path)

    def run(catalogue=None, tiles=None, api_url=None, api_auth=None, **env):
        # Prefect reads its variables when it is imported.
        settings = {PREFECT_API_URL: api_url, PREFECT_API_AUTH_STRING: api_auth, PREFECT_API_KEY: None}
        with patch.dict(os.environ, surroundings(**env), clear=True), temporary_settings(settings):
            code = 0
            try:
                command(catalogue=catalogue, tiles=tiles, json=True)
            except SystemExit as end:
                code = end.code
        return code, checked(capsys.readouterr().out, code)

    return run


@pytest.fixture
def own_process(tmp_path):
    """Return a function like `doctor` that runs the command by itself, with arguments and all variables."""

    def run(*args, **env):
        command = [LENSSCAN, "doctor", *args, "--json"]
        done = subprocess.run(command, env=surroundings(**env), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode, checked(done.stdout, done.returncode)

    return run


def test_a_sound_machine_would_start_a_scan(doctor, s3, tmp_path):
    write_tile(tmp_path / "tiles", 1, 2)
    code, findings = doctor(s3, str(tmp_path / "tiles"))
    assert code == 0, findings
    assert findings["catalogue credentials"] == [("ok", "found (env)", "")]
    assert [state for state, _, _ in findings["catalogue"]] == ["ok", "ok"]
    assert findings["tiles"][0][0] == findings["clock"][0][0] == "ok"


def test_lines_are_for_people(lensscan, tmp_path):
    done = lensscan("doctor", "--tiles", str(tmp_path / "nosuch"), cwd=tmp_path)
    assert done.returncode == 1
    assert f"failed   tiles: {tmp_path / 'nosuch'}: holds no file\n         to mend it: check the URI" in done.stdout
    assert done.stdout.endswith("a scan would not start\n")


def test_a_store_that_ignores_conditions_is_refused(doctor, monkeypatch):
    with serving(BadStore, monkeypatch):
        code, findings = doctor(catalogue="s3://bucket/root")
    assert code == 1
    ((state, told, mend),) = findings["catalogue"]
    assert (state, "ignores conditional creation" in told, "conditional writes" in mend) == ("failed", True, True)


def test_a_store_that_is_away_is_named_without_secrets(doctor, monkeypatch):
    canaries = Canaries()
    env = {"AWS_ACCESS_KEY_ID": canaries.aws_key, "AWS_SECRET_ACCESS_KEY": canaries.aws_token}
    endpoint = canaries.endpoint(f"http://127.0.0.1:{free_port()}")
    code, findings = doctor("s3://bucket/root", "s3://bucket/tiles", AWS_ENDPOINT_URL=endpoint, **env)
    assert code == 1
    assert findings["catalogue"][0][0] == findings["tiles"][0][0] == "failed"
    for secret in (canaries.aws_key, canaries.aws_token, canaries.endpoint_user, canaries.endpoint_password):
        assert secret not in str(findings)


def test_missing_credentials_are_named(doctor, tmp_path):
    none = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"}
    # Other tests of this process may have set them.
    none |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"))
    code, findings = doctor(tiles="s3://bucket/tiles", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}", **none)
    assert code == 1
    state, told, mend = findings["tiles credentials"][0]
    assert (state, told, "AWS_PROFILE" in mend) == ("failed", "none found", True)


def test_a_wrong_setting_is_named(doctor):
    code, findings = doctor(LENSSCAN_WORKERS="0")
    assert (code, list(findings)) == (1, ["settings"])


@pytest.mark.ray
def test_a_cluster_must_be_there_and_accept_the_token(doctor):
    with ray_head(TOKEN) as head:
        for env, state, told in (
            ({"RAY_AUTH_TOKEN": TOKEN}, "ok", "accepts the token"),
            ({"RAY_AUTH_TOKEN": "0" * 64}, "failed", "a different one is set"),
            ({"HOME": head.env["HOME"]}, "failed", "none is set"),
        ):
            code, findings = doctor(LENSSCAN_RAY_ADDRESS=head.gcs, **env)
            assert (findings["Ray"][0][0], told in findings["Ray"][0][1], code) == (state, True, state != "ok"), findings["Ray"]
            assert TOKEN not in str(findings)
    code, findings = doctor(LENSSCAN_RAY_ADDRESS=head.gcs)
    assert (code, findings["Ray"][0][0]) == (1, "failed")


@pytest.mark.ray
def test_a_cluster_that_is_open_to_anyone_is_refused(doctor):
    with ray_head() as head:
        code, findings = doctor(LENSSCAN_RAY_ADDRESS=head.gcs)
        assert (code, findings["Ray"][0][0], "is open" in findings["Ray"][0][1]) == (1, "failed", True)
        code, findings = doctor(LENSSCAN_RAY_ADDRESS=head.gcs, LENSSCAN_ALLOW_OPEN_CLUSTER="true")
        assert (code, findings["Ray"][0][0]) == (0, "warning")


def test_a_prefect_server_must_be_there_and_accept_the_password(doctor, own_process, tmp_path, prefect_tables):
    (tmp_path / "server").mkdir()
    with prefect_server(tmp_path / "server", auth="operator:word", tables=prefect_tables) as server:
        code, findings = own_process(PREFECT_API_URL=server.url, PREFECT_API_AUTH_STRING="operator:word")
        assert (findings["Prefect"][0][0], code) == ("ok", 0), findings["Prefect"]
        assert "operator:w" not in str(findings)
        for auth, found in (("operator:wrong", "is another one"), (None, "is not set")):
            code, findings = doctor(api_url=server.url, api_auth=auth)
            assert (findings["Prefect"][0][0], code) == ("failed", 1), findings["Prefect"]
            assert found in findings["Prefect"][0][1]
            assert "operator:w" not in str(findings)
    code, findings = doctor(api_url=server.url)
    assert (code, "does not answer" in findings["Prefect"][0][1]) == (1, True)


def test_a_prefect_server_without_a_password_is_named(doctor, tmp_path, prefect_tables):
    (tmp_path / "server").mkdir()
    with prefect_server(tmp_path / "server", tables=prefect_tables) as server:
        code, findings = doctor(api_url=server.url)
    assert (code, findings["Prefect"][0][0]) == (0, "warning")
    assert "PREFECT_SERVER_API_AUTH_STRING" in findings["Prefect"][0][2]
