"""Each request that is sent to a store again is counted once, whatever made it fail; the proxy's log is the answer."""

import pytest

from infra.store.retries import take_retries
from infra.store.storage import StorageError, create_if_absent, info, join, read_bytes
from tests.faults.harness.s3_proxy import Cut, LostReply, Rule, Short, Status, s3_proxy

pytestmark = pytest.mark.server


@pytest.fixture
def proxy(s3_server, s3_variables, monkeypatch):
    with s3_proxy(s3_variables["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def uri(s3, proxy):
    uri = join(s3, "object")
    create_if_absent(uri, b"x" * 1000, "try")
    take_retries()
    return uri


@pytest.mark.parametrize(("fault", "times"), [(Status(503), 2), (Status(500), 1), (LostReply(), 2), (Cut(), 1), (Short(), 2)])
def test_every_repeated_read_is_counted(proxy, uri, fault, times):
    proxy.set_rules(Rule(fault, method="GET", times=times))
    assert len(read_bytes(uri)) == 1000
    assert take_retries() == proxy.count("GET") - 1 == times
    assert take_retries() == 0


def test_undisturbed_requests_count_nothing(proxy, uri):
    read_bytes(uri)
    info(uri)
    with pytest.raises(FileNotFoundError):
        info(f"{uri}-absent")
    assert take_retries() == 0


def test_a_creation_whose_reply_is_lost_counts_its_puts(proxy, s3):
    proxy.set_rules(Rule(LostReply(), method="PUT", times=1))
    create_if_absent(join(s3, "new"), b"data", "try")
    assert take_retries() == proxy.count("PUT") - 1 == 1


def test_a_request_that_fails_for_good_counts_its_retries(proxy, uri):
    proxy.set_rules(Rule(Status(503), method="HEAD"))
    with pytest.raises(StorageError):
        info(uri)
    assert take_retries() == proxy.count("HEAD") - 1 > 0
