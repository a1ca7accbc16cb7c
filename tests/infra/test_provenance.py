import hashlib
import importlib.metadata

import pytest

from infra.provenance import code_version, digest, sha256_bytes


def test_sha256_of_a_published_vector():
    # FIPS 180-2, appendix B.1
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_uses_canonical_json():
    assert digest({"b": [1, 2.5], "a": "é"}) == hashlib.sha256('{"a":"é","b":[1,2.5]}'.encode()).hexdigest()
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


def test_digest_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest([float("nan")])


def test_code_version_holds_the_release_and_the_source():
    release, _, source = code_version().partition("+")
    assert release == importlib.metadata.version("lensscan")
    assert len(source) == 12
    assert int(source, 16) >= 0
