"""Run commands that fail at a store, a cluster or a setting, all in one process: `python -m … URL TILES OUT`.

The message that a user would see goes to stderr, followed by the traceback with all causes, as a log would get it.
"""

import logging
import os
import sys
import traceback
from pathlib import Path
from unittest.mock import patch

from flows.cli import main as cli
from flows.cli.app import app
from flows.cli.arguments import prepared
from infra.store import s3_client

OWN = ("infra", "scanner", "simulation", "training", "flows")
STORES = ("s3://forbidden", "s3://silent", "s3://absent", "s3://broken")
"""Buckets, named after what the proxy does to requests for them."""


def run(*arguments, expected=(1, 2), **env):
    """Run a command as a user does; its exit code must be one of `expected`."""
    sys.stderr.write(f"$ lensscan {arguments[0]} ...\n")
    line = ["lensscan", *map(str, arguments)]
    with patch.dict(os.environ, env), patch.object(sys, "argv", line), patch.object(cli, "app", _told):
        code = cli._run()
    assert code in expected, (arguments, code)


def _told():
    try:
        app()
    except Exception:
        traceback.print_exc()
        raise


def scan(tiles, root, **options):
    arguments = ("--night", "2026-01-01", "--threshold", "0", "--workers", "1", "--json")
    run("scan", tiles, "--out", root, *arguments, **options)


def fail_at_stores(manifest):
    for store in STORES:
        for command in ("plan", "status", "query", "verify")[: 1 if store.endswith("silent") else None]:
            run(command, f"{store}/catalogue")
        scan(f"{store}/tiles", f"{store}/catalogue")
    run("score", "s3://forbidden/manifest.csv", "--out", "scores.parquet")
    # The command rejects the manifest's rows, each with a reason, and so scores none.
    run("score", manifest, "--out", "scores.parquet", expected=(1,))


def fail_at_endpoints(endpoint):
    user = endpoint.partition("://")[2].rpartition("@")[0]
    for wrong in (
        f"http://{user}@127.0.0.1:1",
        f"{user}@127.0.0.1:1",
        f"http://{user}@no.such.host.invalid",
        f"ftp://{user}@x",
    ):
        run("plan", "s3://tiles", AWS_ENDPOINT_URL=wrong)
        run("query", "s3://tiles", AWS_ENDPOINT_URL=wrong, AWS_ENDPOINT_URL_S3=wrong)
    for uri in (f"s3://{user}@tiles/x", f"http://{user}@store/x", f"file://{user}@host/x"):
        scan(uri, uri)
        for command in ("plan", "status", "query", "verify"):
            run(command, uri)
    run("score", f"s3://{user}@tiles/x", "--out", "never.parquet")


def fail_at_clusters(tiles, out, endpoint):
    user = endpoint.partition("://")[2].rpartition("@")[0]
    for address in (f"http://{user}@127.0.0.1:8265", f"ray://{user}@127.0.0.1:1", f"{user}@127.0.0.1:1", "127.0.0.1:1"):
        scan(tiles, out, LENSSCAN_RAY_ADDRESS=address)


def fail_at_settings(secret):
    Path("lensscan.toml").write_text(f'aws_secret_access_key = "{secret}"\n')
    run("models", "list")
    Path("lensscan.toml").write_text(f'ensemble = "{secret}\n')
    run("models", "list")
    Path("lensscan.toml").unlink()
    run("models", "list", LENSSCAN_WORKERS="0")


def fail_in_json(tiles, root):
    """Fail with logs in JSON: at stores, and in a worker whose first commits the store refuses, which then ends well."""
    prepared(["plan", "--log-json"])
    for store in STORES:
        run("scan", f"{store}/tiles", "--out", f"{store}/catalogue")
    run("plan", "http://user@store/x")
    # The process that a worker is inherits the variable of these logs.
    run("scan", tiles, "--out", root, "--workers", "1", "--maps", "0", "--json", expected=(0,))


def main(endpoint, tiles, out):
    """Run all failing commands."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    for name in OWN:
        logging.getLogger(name).setLevel(logging.DEBUG)
    # Short deadlines, because each failure would take a minute otherwise.
    s3_client.CONNECT_TIMEOUT_S, s3_client.READ_TIMEOUT_S, s3_client.REQUEST_TRIES, s3_client.DEADLINE_S = 0.5, 0.3, 2, 2.0
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    manifest = Path("manifest.csv")
    rows = [f"{i},{store}/image.fits,,," for i, store in enumerate(STORES)]
    manifest.write_text("\n".join(["object_id,VIS,Y,J,H", *rows, "9,s3://user@tiles/x.fits,,,", ""]))
    fail_at_stores(manifest)
    fail_at_endpoints(endpoint)
    fail_at_clusters(tiles, out, endpoint)
    fail_at_settings(os.environ["AWS_SECRET_ACCESS_KEY"])
    fail_in_json(tiles, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
