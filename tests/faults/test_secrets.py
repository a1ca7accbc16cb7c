"""Keys, tokens and passwords stay in the environment: no file, message or log holds them."""

import base64
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.errors import LensscanError
from infra.store import s3_client
from infra.store.files import one_line
from infra.store.storage import absolute, list_files, read_bytes
from scanner.sources.manifests import read_manifest
from tests.faults.harness.canaries import Canaries
from tests.faults.harness.patience import scaled
from tests.faults.harness.s3_proxy import Answer, Fault, Refuse, Rule, Silence, s3_proxy
from tests.prefect_servers import prefect_server
from tests.tiles import write_tiles

FLOWS = """
import datetime, os, sys
from flows.scan_night import scan_night
tiles, root = sys.argv[1:]
endpoint = os.environ["AWS_ENDPOINT_URL"]
nobody = endpoint.rpartition(":")[0] + ":1"
for address, inputs, out in ((endpoint, tiles, "s3://forbidden/catalogue"), (nobody, "s3://x/tiles", tiles + "/out")):
    os.environ["AWS_ENDPOINT_URL"] = address
    try:
        scan_night.with_options(retries=0)(inputs, out, datetime.date(2026, 1, 1), ray_address="local")
    except Exception:
        sys.excepthook(*sys.exc_info())
    else:
        sys.exit("must fail")
os.environ["AWS_ENDPOINT_URL"] = endpoint
print(scan_night(tiles, root, datetime.date(2026, 1, 1), candidate_threshold=0.0, workers=1, ray_address="local"))
"""

pytestmark = pytest.mark.fault(36)


@dataclass(frozen=True)
class Forbidden(Fault):
    """The answer of a store to a bad token; it quotes the token and the signed text."""

    def apply(self, proxied):
        token = proxied.headers.get("X-Amz-Security-Token", "")
        told = f"<Token-0>{token}</Token-0><StringToSign>{proxied.headers.get('Authorization', '')}</StringToSign>"
        body = f'<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>expired</Message>{told}</Error>'
        proxied.send(Answer(403, [("Content-Type", "application/xml")], body.encode()))


@pytest.fixture
def ray_folder():
    """Return a folder for Ray's logs; Ray's sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_canaries_are_found_in_every_kind_of_file(tmp_path):
    canaries = Canaries()
    table = pa.table({"detail": ["fine", f"refused: {canaries.aws_key}"] * 50})
    pq.write_table(table, tmp_path / "values.parquet", compression="zstd")
    told = table.replace_schema_metadata({"endpoint": canaries.endpoint("http://x")})
    pq.write_table(told.slice(0, 1), tmp_path / "footer.parquet")
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("create table log (message)")
        database.execute("insert into log values (?)", [canaries.prefect_password])
    (tmp_path / "headers.log").write_bytes(b"Basic " + base64.b64encode(f"me:{canaries.ray_token}".encode()))
    (tmp_path / "clean.log").write_text("canary")
    assert [(Path(path).name, names) for path, names in canaries.found_below(tmp_path)] == [
        ("footer.parquet", ["endpoint_password", "endpoint_user"]),
        ("headers.log", ["ray_token"]),
        ("runs.db", ["prefect_password"]),
        ("values.parquet", ["aws_key"]),
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "s3://me:hunter2@bucket/x",
        "s3://me:a/hunter2@bucket/x",
        "s3://me:hunter2/b@bucket/x",
        "file://me:hunter2@host/x",
        "https://me:a@hunter2@host/x",
        "me:hunter2@s3://bucket/x",
    ],
)
def test_a_uri_with_a_password_is_refused_without_repeating_it(uri):
    for use in (absolute, read_bytes, list_files, read_manifest):
        with pytest.raises(LensscanError, match="must not hold a user or password") as error:
            use(uri)
        assert "hunter2" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("endpoint", ["http://me:sec@secret@127.0.0.1:1", "me:secret@127.0.0.1:1", "http://me:a/b@127.0.0.1:1"])
def test_the_s3_client_gets_an_endpoint_without_its_password(monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    if "http" in endpoint:
        assert s3_client.s3_client("mine", 1).meta.endpoint_url == "http://127.0.0.1:1"
    else:
        with pytest.raises(ValueError, match=r"^Invalid endpoint: 127\.0\.0\.1:1$"):
            s3_client.s3_client("mine", 1)


@pytest.mark.parametrize("user", ["me:hunter2", "me:a/hunter2", "me:hunter2/b", "me:a@hunter2", "hunter2"])
def test_passwords_in_urls_are_removed_from_messages(user):
    said = one_line(f"Could not connect to the endpoint URL: 'http://{user}@127.0.0.1:1/bucket'\n(again)")
    assert said == "Could not connect to the endpoint URL: 'http://127.0.0.1:1/bucket' (again)"


@pytest.fixture
def store(s3):
    """Return a catalogue's root and its proxy, which always fails some buckets and refuses the first commits of units."""
    with s3_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        proxy.set_rules(
            Rule(Forbidden(), key="^/forbidden"),
            Rule(Silence(2), key="^/silent"),
            Rule(Refuse(), key="^/broken"),
            Rule(Forbidden(), method="PUT", key="/units/", times=2),
        )
        yield f"{s3}/catalogue", proxy


@pytest.mark.faults
@pytest.mark.server
def test_no_failing_command_reveals_a_secret(store, tmp_path, ray_folder, measured):
    canaries = Canaries()
    root, proxy = store
    write_tiles(tmp_path / "tiles", n_tiles=2, n_objects=2)
    (tmp_path / "work").mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.faults.harness.failing_commands",
        canaries.endpoint(proxy.url),
        tmp_path / "tiles",
        root,
    ]
    env = canaries.env(tmp_path / "home", ray_folder) | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, env=env, cwd=tmp_path / "work", capture_output=True, text=True, timeout=scaled(280), check=False
    )
    assert canaries.found_in(done.stdout + done.stderr) == []
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "work" / "scores.parquet").exists()
    assert canaries.found_below(tmp_path) == []
    n_failed = len(re.findall(r"^lensscan: ", done.stderr, re.MULTILINE))
    assert n_failed > 30
    records = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert sum(record["level"] == "ERROR" for record in records) >= 5, "commands must fail with logs in JSON, too"
    assert proxy.count("PUT", "/units/", "Forbidden") == 2, "a worker must fail while it logs in JSON"
    assert {"000000001", "000000002"} <= {record["unit"] for record in records}
    measured(runs=n_failed, note="canary secrets looked for in what commands say, with tracebacks, and write")


@pytest.mark.faults
@pytest.mark.ray
@pytest.mark.server
def test_no_flow_run_reveals_a_secret_to_prefect(store, tmp_path, ray_folder, measured):
    canaries = Canaries()
    root, proxy = store
    write_tiles(tmp_path / "tiles", n_tiles=2, n_objects=2)
    with prefect_server(tmp_path / "prefect", f"operator:{canaries.prefect_password}") as server:
        env = canaries.env(tmp_path / "home", ray_folder) | {n: v for n, v in server.env.items() if n.startswith("PREFECT_")}
        env |= {"AWS_ENDPOINT_URL": canaries.endpoint(proxy.url), "PREFECT_LOGGING_LEVEL": "DEBUG"}
        command = [sys.executable, "-W", "ignore", "-c", FLOWS, tmp_path / "tiles", root]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=scaled(280), check=False)
        assert canaries.found_in(done.stdout + done.stderr) == []
        assert done.returncode == 0, done.stderr[-3000:]
        auth = ("operator", canaries.prefect_password)
        runs = httpx.post(f"{server.url}/flow_runs/filter", json={}, auth=auth).json()
        assert sorted(run["state_type"] for run in runs) == ["COMPLETED", "FAILED", "FAILED"]
        logs = httpx.post(f"{server.url}/logs/filter", json={}, auth=auth).json()
        assert any("StorageError" in log["message"] for log in logs), "errors must reach the server"
    assert proxy.count("PUT", "/units/", "Forbidden") == 2, "actors must fail too"
    assert canaries.found_below(tmp_path) == []
    assert_clean_catalogue(root, tmp_path / "copies", canaries)
    logs = [path.read_bytes() for path in ray_folder.rglob("*.log")]
    assert any(b"MALLOC_ARENA_MAX" in log for log in logs), "Ray must have logged the runtime environment of the actors"
    assert canaries.found_below(ray_folder) == []
    measured(runs=3, note="... in the catalogue, in Prefect's database, logs and results, and in Ray's files")


def assert_clean_catalogue(root, copies, canaries):
    copies.mkdir()
    files = list_files(root)
    assert {Path(file.uri).suffix for file in files} == {".json", ".parquet", ".unit", ".candidates", ".run"}
    for i, file in enumerate(files):
        (copies / f"{i}-{Path(file.uri).name}").write_bytes(read_bytes(file.uri))
    assert canaries.found_below(copies) == []
