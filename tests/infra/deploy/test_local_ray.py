import contextlib

import pytest

from infra.deploy.local_process import LocalServiceError
from infra.deploy.local_ray import _first_of


def starts(failures, log):
    """Return a function that starts a server, which fails some times before."""

    @contextlib.contextmanager
    def server():
        log.append("start")
        if log.count("start") <= failures:
            raise LocalServiceError("the server ended")
        yield 1
        log.append("end")

    return server


@pytest.mark.parametrize("failures", [0, 2])
def test_a_head_that_fails_is_started_again(failures):
    log = []
    with _first_of(3, starts(failures, log)):
        assert log == ["start"] * (failures + 1)
    assert log[-1] == "end"


def test_a_head_that_always_fails_is_reported():
    log = []
    with pytest.raises(LocalServiceError, match="the server ended"), _first_of(3, starts(3, log)):
        pytest.fail("it started")
    assert log == ["start"] * 3
