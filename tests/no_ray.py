"""A fixture for code that decides whether it needs Ray: a session that is asked for is noted, and none is started."""

import pytest


class RayStartedError(Exception):
    """The code has asked for a Ray session."""


@pytest.fixture
def no_ray(monkeypatch):
    """Return the addresses of the Ray sessions that were asked for; none is started."""
    asked = []

    def session(address):
        asked.append(address)
        raise RayStartedError

    monkeypatch.setattr("infra.ray.cluster.ray_session", session)
    return asked
